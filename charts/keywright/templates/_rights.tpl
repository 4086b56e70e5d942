{{/* What the operator does in a namespace that it works on. */}}
{{- define "keywright.rights.namespace" -}}
# Patched are the finalizers of those with which something is to go when they are deleted.
- apiGroups: [keywright.dev]
  resources: [entraappcredentials]
  verbs: [get, list, watch, patch]
- apiGroups: [keywright.dev]
  resources: [entraappcredentials/status]
  verbs: [update]
# Records and published Secrets. RBAC knows no labels, so these are all Secrets of the namespace; the operator watches
# the metadata of its own, and reads others only by name, where a resource names them.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch, create, update, patch, delete]
# Who still holds an old credential, and who makes those that do.
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
- apiGroups: [apps]
  resources: [deployments, statefulsets, daemonsets]
  verbs: [list, watch, patch]
# What will make pods some day, before a credential goes that nothing replaces under its name.
- apiGroups: [batch]
  resources: [cronjobs]
  verbs: [list]
{{- if .Values.argoRollouts }}
- apiGroups: [argoproj.io]
  resources: [rollouts]
  verbs: [list, watch, patch]
{{- end }}
# Two annotations, by which the pods of a federated ServiceAccount learn as whom they sign in. None is ever created.
- apiGroups: [""]
  resources: [serviceaccounts]
  verbs: [get, patch]
{{- if .Values.federation.allowTokenRequests }}
# To prove that Entra takes the tokens of an account. What they may be for is in policy.yaml.
- apiGroups: [""]
  resources: [serviceaccounts/token]
  verbs: [create]
{{- end }}
{{ include "keywright.rights.events" . }}
{{- end }}

{{/* Events about tenants are in the namespace `default`, as those about everything that is in no namespace. */}}
{{- define "keywright.rights.events" -}}
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end }}

{{/* What the operator itself signs in with, where it is no workload identity. */}}
{{- define "keywright.rights.identity" -}}
- apiGroups: [""]
  resources: [secrets]
  verbs: [get]
{{- end }}

{{/* What is in no namespace. */}}
{{- define "keywright.rights.cluster" -}}
# Whether both kinds are there yet.
- apiGroups: [apiextensions.k8s.io]
  resources: [customresourcedefinitions]
  resourceNames: [entraappcredentials.keywright.dev, entratenants.keywright.dev]
  verbs: [list, watch]
- apiGroups: [keywright.dev]
  resources: [entratenants]
  verbs: [get, list, watch]
- apiGroups: [keywright.dev]
  resources: [entratenants/status]
  verbs: [update]
# Who issues the tokens of this cluster, as it spells it. Kubernetes lets every ServiceAccount read that, but some take it away.
- nonResourceURLs: [/.well-known/openid-configuration]
  verbs: [get]
# Labels, by which grants select; and whether one is being deleted.
- apiGroups: [""]
  resources: [namespaces]
  {{- with .Values.watchNamespaces }}
  resourceNames: {{ toJson . }}
  {{- end }}
  verbs: [get, list, watch]
{{- if and .Values.watchNamespaces (not .Values.clusterId) (not (has "kube-system" .Values.watchNamespaces)) }}
# Its UID is the ID of the cluster.
- apiGroups: [""]
  resources: [namespaces]
  resourceNames: [kube-system]
  verbs: [get]
{{- end }}
{{- end }}

{{/* Which rights in which namespace, where those of the whole cluster do not cover them: {namespace: [rights, …]}. */}}
{{- define "keywright.rights.where" -}}
{{- $where := dict }}
{{- if .Values.watchNamespaces }}
{{- $_ := set $where "default" (list "events") }}
{{- $_ := set $where .Release.Namespace (append (default list (get $where .Release.Namespace)) "identity") }}
{{- range .Values.watchNamespaces }}
{{- $_ := set $where . (list "namespace") }}
{{- end }}
{{- end }}
{{- toYaml $where }}
{{- end }}
