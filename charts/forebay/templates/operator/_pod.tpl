{{/* What the operator and the Job that ends its work have in common. */}}

{{- define "forebay.operator.env" -}}
{{ include "forebay.env.common" . }}
{{ include "forebay.nats.env" (list . "operator") }}
- name: FOREBAY_OPERATOR_CONFIG
  value: /etc/forebay/operator/operator.yaml
{{- include "forebay.env" .Values.operator.env }}
{{- end -}}

{{- define "forebay.operator.volumeMounts" -}}
- { name: config, mountPath: /etc/forebay/operator, readOnly: true }
{{- include "forebay.nats.volumeMount" (list . "operator") }}
{{- end -}}

{{- define "forebay.operator.volumes" -}}
- name: config
  configMap:
    name: {{ include "forebay.fullname" . }}-operator
{{- include "forebay.nats.volume" (list . "operator") }}
{{- end -}}

{{/* The ports at which the operator reaches the API server, as JSON. A network policy sees it behind its
     Service, so on a cluster they are read there: of the EndpointSlice that the API server writes, or
     of Endpoints. What is rendered without a cluster gets the usual ones. */}}
{{- define "forebay.apiServerPorts" -}}
{{- $ports := .Values.operator.networkPolicy.apiServerPorts -}}
{{- if not $ports -}}
{{- $found := list -}}
{{- range (lookup "discovery.k8s.io/v1" "EndpointSlice" "default" "kubernetes" | default dict).ports -}}
{{- $found = append $found (int .port) -}}
{{- end -}}
{{- if not $found -}}
{{- range (lookup "v1" "Endpoints" "default" "kubernetes" | default dict).subsets -}}
{{- range .ports -}}
{{- $found = append $found (int .port) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $ports = concat (list 443) ($found | default (list 6443)) | uniq -}}
{{- end -}}
{{- $ports | toJson -}}
{{- end -}}
