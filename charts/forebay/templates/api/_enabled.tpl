{{/* Whether the HTTP API runs: "true" or empty. Values of an older release do not have it. */}}
{{- define "forebay.api.enabled" -}}
{{- if (.Values.api | default dict).enabled -}}true{{- end -}}
{{- end -}}
