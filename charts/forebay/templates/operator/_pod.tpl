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
