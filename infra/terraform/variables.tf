variable "region" {
  description = "The region of the bucket and the queue; training clusters belong into the same one."
  type        = string
  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region must be the name of an AWS region, such as eu-central-1."
  }
}

variable "name" {
  description = "What queues, rules, policies and roles are called; part of each name."
  type        = string
  default     = "imageyard"
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,30}[a-z0-9]$", var.name))
    error_message = "name must be 3 to 32 of a-z, 0-9 and '-', beginning with a letter."
  }
}

variable "bucket" {
  description = "The name of the bucket. It is Imageyard's alone."
  type        = string
  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "bucket must be 3 to 63 of a-z, 0-9 and '-'. Dots break TLS of virtual-hosted addresses."
  }
}

variable "tenants" {
  description = "Who has datasets: the prefix below which they lie, and the Kubernetes service accounts (namespace:name) that may train on them."
  type = map(object({
    prefix   = string
    trainers = optional(set(string), [])
  }))
  validation {
    condition     = length(var.tenants) > 0 && alltrue([for key in keys(var.tenants) : can(regex("^[a-z][a-z0-9-]{0,15}$", key))])
    error_message = "tenants must name at least one tenant; a name is 1 to 16 of a-z, 0-9 and '-', beginning with a letter."
  }
  validation {
    condition = alltrue([
      for tenant in values(var.tenants) : can(regex("^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$", tenant.prefix))
    ])
    error_message = "A tenant's prefix must be like teams/cats: letters, digits and ._- between single slashes, no slash at either end, no segment that begins with a dot."
  }
  validation {
    condition = alltrue(flatten([
      for one, a in var.tenants : [
        for other, b in var.tenants : one == other || !startswith("${a.prefix}/", "${b.prefix}/")
      ]
    ]))
    error_message = "The prefix of one tenant lies inside that of another: each would see the other's datasets."
  }
  validation {
    condition = alltrue([
      for tenant in values(var.tenants) : alltrue([for subject in tenant.trainers : can(regex("^[a-z0-9-]+:[a-z0-9.-]+$", subject))])
    ])
    error_message = "trainers must be written namespace:serviceaccount, without wildcards."
  }
}

variable "models" {
  description = "The prefix of model files in the bucket, which workers read."
  type        = string
  default     = "models"
  validation {
    condition     = can(regex("^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$", var.models))
    error_message = "models must be a prefix such as models, with no slash at either end."
  }
}

variable "oidc_provider_arn" {
  description = "The OIDC provider of the Kubernetes cluster, by which pods take their roles (IRSA)."
  type        = string
  validation {
    condition     = can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:oidc-provider/[^*]+$", var.oidc_provider_arn))
    error_message = "oidc_provider_arn must be the ARN of an IAM OIDC provider."
  }
}

variable "service_account" {
  description = "The Kubernetes service account of the service, as namespace:name."
  type        = string
  default     = "imageyard:imageyard-service"
  validation {
    condition     = can(regex("^[a-z0-9-]+:[a-z0-9.-]+$", var.service_account))
    error_message = "service_account must be written namespace:name, without wildcards."
  }
}

variable "worker_accounts" {
  description = "The Kubernetes service accounts of Ray's head (where a job's driver runs) and of its workers, as namespace:name."
  type        = set(string)
  default     = ["imageyard:imageyard-ray-head", "imageyard:imageyard-ray-worker"]
  validation {
    condition     = length(var.worker_accounts) > 0 && alltrue([for subject in var.worker_accounts : can(regex("^[a-z0-9-]+:[a-z0-9.-]+$", subject))])
    error_message = "worker_accounts must be written namespace:name, without wildcards, at least one."
  }
}

variable "more_writers" {
  description = "ARNs of further roles or users that may write versions and manifests: who runs `imageyard run` from a desk, nodes of infra/ray-up."
  type        = set(string)
  default     = []
  validation {
    condition     = alltrue([for arn in var.more_writers : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/[^*]+$", arn))])
    error_message = "more_writers must be ARNs of IAM roles or users, without wildcards."
  }
}

variable "kms_key_arn" {
  description = "A KMS key for the bucket; null encrypts with keys of S3 (SSE-S3)."
  type        = string
  default     = null
  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[0-9a-f-]+$", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a KMS key (not of an alias)."
  }
}

variable "max_receives" {
  description = "After how many receipts without success a message goes to the dead-letter queue."
  type        = number
  default     = 20
  validation {
    condition     = var.max_receives >= 5 && var.max_receives <= 1000
    error_message = "max_receives must be 5 to 1000: a window of drops may have to wait for a job that runs already."
  }
}
