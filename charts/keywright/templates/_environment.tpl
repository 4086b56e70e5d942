{{/* What the operator finds in its environment (`keywright run --help`). */}}
{{- define "keywright.environment" -}}
{{- $said := list
  (list "KEYWRIGHT_NAMESPACES" (join "," .Values.watchNamespaces))
  (list "KEYWRIGHT_CLUSTER_ID" .Values.clusterId)
  (list "KEYWRIGHT_ARGO_ROLLOUTS" (ternary "true" "" .Values.argoRollouts))
  (list "KEYWRIGHT_LOG_FORMAT" .Values.log.format)
  (list "KEYWRIGHT_LOG" .Values.log.filter)
  (list "KEYWRIGHT_CA_FILE" (ternary "/etc/keywright/ca/ca.crt" "" (not (empty .Values.caBundle.configMap))))
  (list "HTTPS_PROXY" .Values.httpsProxy)
  (list "NO_PROXY" .Values.noProxy)
}}
{{- range $said }}
{{- if last . }}
- name: {{ first . }}
  value: {{ last . | quote }}
{{- end }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The annotation by which the webhook of Azure Workload Identity knows as whom a ServiceAccount signs in. */}}
{{- define "keywright.identity" -}}
{{- with .Values.workloadIdentity.clientId }}
azure.workload.identity/client-id: {{ . }}
{{- end }}
{{- end }}
