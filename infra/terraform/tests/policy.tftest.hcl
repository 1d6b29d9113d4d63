# Plans against a provider that is not there: no account, no network.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::111122223333:role/imageyard" }
  }
  mock_resource "aws_iam_policy" {
    defaults = { arn = "arn:aws:iam::111122223333:policy/imageyard" }
  }
  mock_resource "aws_sqs_queue" {
    defaults = { arn = "arn:aws:sqs:eu-central-1:111122223333:drops" }
  }
  mock_resource "aws_cloudwatch_event_rule" {
    defaults = { arn = "arn:aws:events:eu-central-1:111122223333:rule/drops" }
  }
}

variables {
  region            = "eu-central-1"
  bucket            = "yard-of-cats"
  oidc_provider_arn = "arn:aws:iam::111122223333:oidc-provider/oidc.eks.eu-central-1.amazonaws.com/id/ABCDEF"
  tenants = {
    cats = { prefix = "teams/cats", trainers = ["training:cats"] }
    dogs = { prefix = "teams/dogs" }
  }
}

run "the_bucket_is_private_versioned_and_encrypted" {
  command = apply

  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.data.block_public_acls,
      aws_s3_bucket_public_access_block.data.block_public_policy,
      aws_s3_bucket_public_access_block.data.ignore_public_acls,
      aws_s3_bucket_public_access_block.data.restrict_public_buckets,
    ])
    error_message = "Public access must be blocked in all four ways."
  }
  assert {
    condition     = aws_s3_bucket_versioning.data.versioning_configuration[0].status == "Enabled"
    error_message = "Deleted objects could not be brought back."
  }
  assert {
    condition     = one(aws_s3_bucket_server_side_encryption_configuration.data.rule).apply_server_side_encryption_by_default[0].sse_algorithm == "AES256"
    error_message = "Without a key of KMS, S3 encrypts with its own."
  }
  assert {
    condition     = aws_s3_bucket_ownership_controls.data.rule[0].object_ownership == "BucketOwnerEnforced"
    error_message = "Access lists must be off."
  }
}

run "no_object_expires_by_age" {
  command = apply

  assert {
    condition     = alltrue([for rule in aws_s3_bucket_lifecycle_configuration.data.rule : alltrue([for expiry in rule.expiration : coalesce(expiry.days, 0) == 0 && expiry.date == null])])
    error_message = "A lifecycle rule would delete current objects."
  }
  assert {
    condition     = anytrue([for rule in aws_s3_bucket_lifecycle_configuration.data.rule : anytrue([for abort in rule.abort_incomplete_multipart_upload : abort.days_after_initiation == 2])])
    error_message = "Unfinished uploads must be given up after two days."
  }
}

run "trainers_have_roles_only_where_named" {
  command = apply

  assert {
    condition     = keys(aws_iam_role.trainer) == ["cats"]
    error_message = "Only tenants with trainers get a trainer role."
  }
  assert {
    condition     = jsondecode(aws_iam_role.trainer["cats"].assume_role_policy).Statement[0].Condition.StringEquals["oidc.eks.eu-central-1.amazonaws.com/id/ABCDEF:sub"] == ["system:serviceaccount:training:cats"]
    error_message = "A trainer role must trust its service account alone."
  }
}

run "a_key_of_kms_is_used_and_granted" {
  command = apply
  variables {
    kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:key/01234567-89ab-cdef-0123-456789abcdef"
  }

  assert {
    condition     = one(aws_s3_bucket_server_side_encryption_configuration.data.rule).apply_server_side_encryption_by_default[0].sse_algorithm == "aws:kms"
    error_message = "The key must be used."
  }
  assert {
    condition     = [for statement in jsondecode(aws_iam_policy.trainer["cats"].policy).Statement : statement.Action if statement.Sid == "Decrypt"] == [["kms:Decrypt"]]
    error_message = "Trainers decrypt and do no more."
  }
}

run "a_prefix_with_dots_is_refused" {
  command         = plan
  expect_failures = [var.tenants]
  variables {
    tenants = { cats = { prefix = "teams/../cats" } }
  }
}

run "a_prefix_inside_another_is_refused" {
  command         = plan
  expect_failures = [var.tenants]
  variables {
    tenants = { all = { prefix = "teams" }, cats = { prefix = "teams/cats" } }
  }
}

run "a_wildcard_account_is_refused" {
  command         = plan
  expect_failures = [var.service_account]
  variables {
    service_account = "imageyard:*"
  }
}

run "an_alias_of_a_key_is_refused" {
  command         = plan
  expect_failures = [var.kms_key_arn]
  variables {
    kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:alias/mine"
  }
}

run "a_bucket_with_dots_is_refused" {
  command         = plan
  expect_failures = [var.bucket]
  variables {
    bucket = "yard.of.cats"
  }
}
