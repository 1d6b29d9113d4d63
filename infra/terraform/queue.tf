# What arrives in a drop folder becomes a message.
#
# By EventBridge, not by a notification of S3 itself: datasets lie at <prefix>/<dataset>/drop/, and a notification
# filters by the beginning and the end of a key only. It would send every fact and image a job writes as well.

resource "aws_sqs_queue" "dead" {
  name                      = "${var.name}-drops-dead"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
}

resource "aws_sqs_queue" "drops" {
  name                       = "${var.name}-drops"
  message_retention_seconds  = 345600
  receive_wait_time_seconds  = 20
  visibility_timeout_seconds = 300
  sqs_managed_sse_enabled    = true
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead.arn
    maxReceiveCount     = var.max_receives
  })
}

resource "aws_s3_bucket_notification" "data" {
  bucket      = aws_s3_bucket.data.id
  eventbridge = true
}

resource "aws_cloudwatch_event_rule" "drops" {
  for_each    = var.tenants
  name        = "${var.name}-drops-${each.key}"
  description = "Objects that arrive in the drop folders of ${each.key}"
  event_pattern = jsonencode({
    source        = ["aws.s3"]
    "detail-type" = ["Object Created"]
    detail = {
      bucket = { name = [var.bucket] }
      object = { key = [{ wildcard = "${each.value.prefix}/*/drop/*" }] }
    }
  })
}

resource "aws_cloudwatch_event_target" "drops" {
  for_each  = var.tenants
  rule      = aws_cloudwatch_event_rule.drops[each.key].name
  target_id = "queue"
  arn       = aws_sqs_queue.drops.arn
  dead_letter_config {
    arn = aws_sqs_queue.dead.arn
  }
}

resource "aws_sqs_queue_policy" "queues" {
  for_each  = { drops = aws_sqs_queue.drops, dead = aws_sqs_queue.dead }
  queue_url = each.value.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "EventsOfTheBucket"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = each.value.arn
        Condition = {
          ArnEquals    = { "aws:SourceArn" = [for rule in values(aws_cloudwatch_event_rule.drops) : rule.arn] }
          StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.here.account_id }
        }
      },
      {
        Sid       = "OnlyOverTLS"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sqs:*"
        Resource  = each.value.arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}
