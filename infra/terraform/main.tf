# The bucket: the one place where anything is kept.

locals {
  bucket_arn = "arn:${data.aws_partition.here.partition}:s3:::${var.bucket}"
  prefixes   = [for tenant in values(var.tenants) : tenant.prefix]

  hex32 = join("", [for _ in range(32) : "?"])
  hex64 = join("", [for _ in range(64) : "?"])

  # Names as the code makes them, so exactly that a folder `images` or `versions` that somebody drops is not meant:
  # what `*` stands for may hold slashes.
  created_once = {
    versions = "*/versions/????????????????????.json"
    settings = "*/settings/????????????????????.json"
    facts    = "*/facts/*/${local.hex32}.parquet"
    images   = "*/images/??/${local.hex64}.*"
  }
  manifests = "*/manifests/${local.hex32}/*"
}

resource "aws_s3_bucket" "data" {
  bucket = var.bucket
}

resource "aws_s3_bucket_ownership_controls" "data" {
  bucket = aws_s3_bucket.data.id
  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_public_access_block" "data" {
  bucket                  = aws_s3_bucket.data.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_versioning" "data" {
  bucket = aws_s3_bucket.data.id
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "data" {
  bucket = aws_s3_bucket.data.id
  rule {
    bucket_key_enabled = var.kms_key_arn != null
    apply_server_side_encryption_by_default {
      sse_algorithm     = var.kms_key_arn == null ? "AES256" : "aws:kms"
      kms_master_key_id = var.kms_key_arn
    }
  }
}

# No object expires by age. What somebody deleted or overwrote can be brought back for 30 days.
resource "aws_s3_bucket_lifecycle_configuration" "data" {
  bucket     = aws_s3_bucket.data.id
  depends_on = [aws_s3_bucket_versioning.data]

  rule {
    id     = "abort-unfinished-uploads"
    status = "Enabled"
    filter {}
    abort_incomplete_multipart_upload {
      days_after_initiation = 2
    }
  }

  rule {
    id     = "forget-what-was-deleted"
    status = "Enabled"
    filter {}
    noncurrent_version_expiration {
      noncurrent_days = 30
    }
    expiration {
      expired_object_delete_marker = true
    }
  }
}

resource "aws_s3_bucket_policy" "data" {
  bucket     = aws_s3_bucket.data.id
  depends_on = [aws_s3_bucket_public_access_block.data]
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "OnlyOverTLS"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [local.bucket_arn, "${local.bucket_arn}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
      {
        Sid       = "WhatIsCommittedStays"
        Effect    = "Deny"
        Principal = "*"
        Action    = ["s3:DeleteObject", "s3:DeleteObjectVersion"]
        Resource  = [for shape in concat(values(local.created_once), [local.manifests]) : "${local.bucket_arn}/${shape}"]
      },
      {
        # Opening a multipart upload and sending its parts cannot carry the condition; completing it can, and must.
        Sid       = "CreatedNeverOverwritten"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObject"
        Resource  = [for shape in values(local.created_once) : "${local.bucket_arn}/${shape}"]
        Condition = {
          Null = { "s3:if-none-match" = "true" }
          Bool = { "s3:ObjectCreationOperation" = "true" }
        }
      },
      {
        # Manifests are streamed under names nobody else can have, which is a write without the condition; so at
        # least nobody but Imageyard writes there.
        Sid       = "OnlyImageyardWrites"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObject"
        Resource  = [for shape in [local.created_once.versions, local.manifests] : "${local.bucket_arn}/${shape}"]
        Condition = {
          ArnNotEquals = {
            "aws:PrincipalArn" = concat([aws_iam_role.service.arn, aws_iam_role.worker.arn], tolist(var.more_writers))
          }
        }
      },
    ]
  })
}
