variable "name" {
  description = "Begins the names of buckets, roles and alarms; the same in both accounts"
  type        = string
  default     = "ghevault"
}

variable "retention_days" {
  description = "Days for which every file is locked in compliance mode. It can be made longer later, never shorter for what is stored"
  type        = number
  default     = 35

  validation {
    condition     = var.retention_days >= 1
    error_message = "A vault without locks protects nothing: at least one day."
  }
}

variable "operator_arn" {
  description = "Who may take the roles pruner, reader and locks; a role of people or of a scheduler, not the runner"
  type        = string
}

variable "alarm_topic_arn" {
  description = "SNS topic that tells people; its policy must let cloudwatch.amazonaws.com and events.amazonaws.com publish"
  type        = string
}

variable "ssh_key" {
  description = "Ciphertext that `ghevault key create` prints. Leave it empty the first time: the key in KMS must exist before"
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^(aws:kms:[A-Za-z0-9+/=_-]+)?$", var.ssh_key))
    error_message = "Not a ciphertext such as aws:kms:AQICAH…; a plain key has no place here."
  }
}

variable "appliance" {
  description = "Host name of the appliance; several machines of one pair with commas between"
  type        = string
  default     = "ghe.example.com"
}

variable "appliance_cidr" {
  description = "Addresses of the appliance's machines; port 122 is opened to them"
  type        = string
  default     = "192.0.2.0/24"
}

variable "host_key" {
  description = "Fingerprint of the appliance's SSH host key (SHA256:…), as its console shows it"
  type        = string
  default     = ""
}

variable "image" {
  description = "Container image: registry/organisation/name:tag"
  type        = string
  default     = "registry.example.com/ops/ghevault:0.1.0"
}

variable "schedule" {
  description = "When backups run; in the other account choose other minutes"
  type        = string
  default     = "business-hours"
}

variable "time_zone" {
  description = "The clock of the schedule, e.g. Europe/Berlin"
  type        = string
  default     = "UTC"
}

variable "objective" {
  description = "How old the last complete snapshot may become before the alarm"
  type        = string
  default     = "2h"
}

variable "image_id" {
  description = "Machine image with docker, cloud-init, curl and the aws program"
  type        = string
}

variable "instance_type" {
  description = "A Nitro type of the machine image's architecture"
  type        = string
  default     = "m7i.large"
}

variable "vpc_id" {
  description = "Network from which the appliance, KMS and S3 can be reached"
  type        = string
}

variable "subnet_id" {
  description = "A private subnet of it"
  type        = string
}

variable "zone" {
  description = "The zone of that subnet; the volume lies there"
  type        = string
}

variable "volume_size" {
  description = "GiB for state and notices; the vault lies in the bucket"
  type        = number
  default     = 20
}

variable "access_policy_arn" {
  description = "A further policy of the host's role, e.g. arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore for sessions; empty for none"
  type        = string
  default     = ""
}

variable "other_account" {
  description = "Number of the account with the other vault; it may read this notice board. Empty for none"
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^([0-9]{12})?$", var.other_account))
    error_message = "Twelve digits, or nothing."
  }
}

variable "other_seal_key" {
  description = "Public seal key of the other vault (`ghevault doctor` shows it there), for cosigning"
  type        = string
  default     = ""
}
