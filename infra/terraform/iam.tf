# Who may do what. Pods take a role by their service account; nobody has a key.

locals {
  issuer = replace(var.oidc_provider_arn, "/^arn:[^:]+:iam::[0-9]+:oidc-provider\\//", "")

  trust = {
    for role, subjects in merge(
      { service = [var.service_account], worker = sort(tolist(var.worker_accounts)) },
      { for key, tenant in var.tenants : "trainer-${key}" => sort(tolist(tenant.trainers)) },
      ) : role => jsonencode({
        Version = "2012-10-17"
        Statement = [{
          Effect    = "Allow"
          Principal = { Federated = var.oidc_provider_arn }
          Action    = "sts:AssumeRoleWithWebIdentity"
          Condition = {
            StringEquals = {
              "${local.issuer}:aud" = "sts.amazonaws.com"
              "${local.issuer}:sub" = [for subject in subjects : "system:serviceaccount:${subject}"]
            }
          }
        }]
    })
  }

  everything = [for prefix in local.prefixes : "${local.bucket_arn}/${prefix}/*"]

  # Listing is for the whole bucket, which is Imageyard's alone: S3 says "not found" only to who may list, and "denied"
  # to everybody else, and the code must tell a version that is not there from one it may not read.
  list = {
    Sid      = "List"
    Effect   = "Allow"
    Action   = "s3:ListBucket"
    Resource = local.bucket_arn
  }

  encrypt = var.kms_key_arn == null ? [] : [{
    Sid       = "Encrypt"
    Effect    = "Allow"
    Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
    Resource  = var.kms_key_arn
    Condition = { StringEquals = { "kms:ViaService" = "s3.${var.region}.amazonaws.com" } }
  }]

  decrypt = [for statement in local.encrypt : merge(statement, { Sid = "Decrypt", Action = ["kms:Decrypt"] })]
}

# The service: reads, signs, records jobs, commits what people decide, listens to the queue.
resource "aws_iam_policy" "service" {
  name        = "${var.name}-service"
  description = "The web service and the watcher of Imageyard"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      local.list,
      {
        Sid      = "Read"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = local.everything
      },
      {
        # drop/ is for the uploads it signs.
        Sid    = "Write"
        Effect = "Allow"
        Action = ["s3:PutObject", "s3:AbortMultipartUpload"]
        Resource = flatten([for prefix in local.prefixes : [
          for folder in ["drop", "jobs", "manifests", "open", "settings", "statistics", "versions"] : "${local.bucket_arn}/${prefix}/*/${folder}/*"
        ]])
      },
      {
        # Whether the store creates only once is asked with an object that is made and then refused.
        Sid      = "Probe"
        Effect   = "Allow"
        Action   = "s3:PutObject"
        Resource = [for prefix in local.prefixes : "${local.bucket_arn}/${prefix}/.imageyard-probe"]
      },
      {
        Sid      = "EndJobs"
        Effect   = "Allow"
        Action   = "s3:DeleteObject"
        Resource = [for prefix in local.prefixes : "${local.bucket_arn}/${prefix}/*/open/*"]
      },
      {
        Sid      = "Listen"
        Effect   = "Allow"
        Action   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes", "sqs:GetQueueUrl"]
        Resource = aws_sqs_queue.drops.arn
      },
      {
        Sid      = "SetAside"
        Effect   = "Allow"
        Action   = ["sqs:SendMessage", "sqs:GetQueueAttributes", "sqs:GetQueueUrl"]
        Resource = aws_sqs_queue.dead.arn
      },
    ], local.encrypt)
  })
}

# A job's driver and its workers: take in what was dropped, measure, commit.
resource "aws_iam_policy" "worker" {
  name        = "${var.name}-worker"
  description = "The Ray jobs of Imageyard"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      local.list,
      {
        Sid      = "Read"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = concat(local.everything, ["${local.bucket_arn}/${var.models}/*"])
      },
      {
        Sid    = "Write"
        Effect = "Allow"
        Action = ["s3:PutObject", "s3:AbortMultipartUpload"]
        Resource = flatten([for prefix in local.prefixes : [
          for folder in ["facts", "images", "index", "jobs", "manifests", "open", "versions"] : "${local.bucket_arn}/${prefix}/*/${folder}/*"
        ]])
      },
      {
        Sid      = "RemoveWhatWasTakenIn"
        Effect   = "Allow"
        Action   = "s3:DeleteObject"
        Resource = flatten([for prefix in local.prefixes : [for folder in ["drop", "open"] : "${local.bucket_arn}/${prefix}/*/${folder}/*"]])
      },
    ], local.encrypt)
  })
}

# A training cluster of one tenant: reads that tenant's images, versions and manifests.
resource "aws_iam_policy" "trainer" {
  for_each    = { for key, tenant in var.tenants : key => tenant if length(tenant.trainers) > 0 }
  name        = "${var.name}-trainer-${each.key}"
  description = "Training on the datasets of ${each.key}"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      {
        Sid       = "List"
        Effect    = "Allow"
        Action    = "s3:ListBucket"
        Resource  = local.bucket_arn
        Condition = { StringLike = { "s3:prefix" = "${each.value.prefix}/*" } }
      },
      {
        Sid      = "Read"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = [for folder in ["images", "manifests", "versions"] : "${local.bucket_arn}/${each.value.prefix}/*/${folder}/*"]
      },
    ], local.decrypt)
  })
}

resource "aws_iam_role" "service" {
  name               = "${var.name}-service"
  assume_role_policy = local.trust.service
}

resource "aws_iam_role" "worker" {
  name               = "${var.name}-worker"
  assume_role_policy = local.trust.worker
}

resource "aws_iam_role" "trainer" {
  for_each           = aws_iam_policy.trainer
  name               = "${var.name}-trainer-${each.key}"
  assume_role_policy = local.trust["trainer-${each.key}"]
}

resource "aws_iam_role_policy_attachment" "service" {
  role       = aws_iam_role.service.name
  policy_arn = aws_iam_policy.service.arn
}

resource "aws_iam_role_policy_attachment" "worker" {
  role       = aws_iam_role.worker.name
  policy_arn = aws_iam_policy.worker.arn
}

resource "aws_iam_role_policy_attachment" "trainer" {
  for_each   = aws_iam_policy.trainer
  role       = aws_iam_role.trainer[each.key].name
  policy_arn = each.value.arn
}
