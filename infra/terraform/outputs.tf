output "tenant_urls" {
  description = "The prefix of each tenant, as the service's configuration names it."
  value       = { for key, tenant in var.tenants : key => "s3://${var.bucket}/${tenant.prefix}" }
}

output "models_url" {
  description = "Where model files lie."
  value       = "s3://${var.bucket}/${var.models}"
}

output "queue_url" {
  description = "The queue of drops, as the service's configuration names it."
  value       = aws_sqs_queue.drops.id
}

output "dead_letter_queue_url" {
  description = "Messages that never succeeded; watch its length."
  value       = aws_sqs_queue.dead.id
}

output "service_role_arn" {
  description = "For the annotation of the service's service account."
  value       = aws_iam_role.service.arn
}

output "worker_role_arn" {
  description = "For the annotation of the service accounts of Ray's head and workers."
  value       = aws_iam_role.worker.arn
}

output "worker_policy_arn" {
  description = "To attach to the instance role of Ray nodes outside Kubernetes, which must stand in more_writers too."
  value       = aws_iam_policy.worker.arn
}

output "trainer_role_arns" {
  description = "For the service accounts of training clusters, by tenant."
  value       = { for key, role in aws_iam_role.trainer : key => role.arn }
}
