{{/* Names, labels and pieces that several templates use. Nothing here reads the cluster. */}}

{{/* The prefix of all names. 40 characters: the operator puts endpoints' names behind it. */}}
{{- define "forebay.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What selects pods. Never changes in a release's life: selectors are immutable.
     Takes a list: the root and the component. */}}
{{- define "forebay.selectorLabels" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ $root.Chart.Name }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* The labels of every object. Takes a list: the root and the component. */}}
{{- define "forebay.labels" -}}
{{- $root := index . 0 -}}
{{ include "forebay.selectorLabels" . }}
app.kubernetes.io/part-of: forebay
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The labels of pods: without versions, so that an upgrade rolls only what changed. Takes a list:
     the root, the component and the component's values. */}}
{{- define "forebay.podLabels" -}}
{{- $root := index . 0 -}}
{{ include "forebay.selectorLabels" (list $root (index . 1)) }}
app.kubernetes.io/part-of: forebay
{{- with (index . 2).podLabels }}
{{ toYaml . }}
{{- end }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The image of a part. Takes a list: the root and the part's image values. */}}
{{- define "forebay.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- with $root.Values.image.registry -}}{{ . | trimSuffix "/" }}/{{- end -}}
{{- $image.repository -}}
{{- if $image.digest -}}@{{ $image.digest }}{{- else -}}:{{ $root.Values.image.tag | default $root.Chart.AppVersion }}{{- end -}}
{{- end -}}

{{/* The image of nats-server. */}}
{{- define "forebay.nats.image" -}}
{{- with .Values.nats.image -}}
{{- .repository -}}{{- if .digest -}}@{{ .digest }}{{- else -}}:{{ .tag }}{{- end -}}
{{- end -}}
{{- end -}}

{{/* The names of service accounts; each part has one of its own. Takes a list: root and component. */}}
{{- define "forebay.serviceAccountName" -}}
{{- printf "%s-%s" (include "forebay.fullname" (index . 0)) (index . 1) -}}
{{- end -}}

{{/* What Pod Security "restricted" asks of a pod. Takes the user's number. */}}
{{- define "forebay.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* What it asks of a container, and a root that nothing can write to. */}}
{{- define "forebay.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Where pods may run. Takes the component's values. */}}
{{- define "forebay.placement" -}}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- end -}}

{{/* How pods of one component spread. Takes a list: the root and the component. */}}
{{- define "forebay.spread" -}}
{{- $root := index . 0 -}}
{{- $labels := include "forebay.selectorLabels" . -}}
{{- $wanted := dict "kubernetes.io/hostname" $root.Values.spread.nodes "topology.kubernetes.io/zone" $root.Values.spread.zones -}}
{{- $constraints := list -}}
{{- range $key, $when := $wanted -}}
{{- if ne $when "None" -}}
{{- $constraints = append $constraints (dict "maxSkew" 1 "topologyKey" $key "whenUnsatisfiable" $when "labelSelector" (dict "matchLabels" (fromYaml $labels))) -}}
{{- end -}}
{{- end -}}
{{- with $constraints }}
topologySpreadConstraints:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Secrets to pull images with. */}}
{{- define "forebay.imagePullSecrets" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* A quantity as text: a whole number of values is a float, and a large one would be 2.147e+09. */}}
{{- define "forebay.quantity" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) }}{{ int64 . | toString | quote }}
{{- else }}{{ toString . | quote }}{{ end }}
{{- end -}}

{{/* Further variables of a part, in a fixed order. Takes a map. */}}
{{- define "forebay.env" -}}
{{- range $name, $value := . }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end -}}

{{/* Variables of every part. */}}
{{- define "forebay.env.common" -}}
- name: FOREBAY_LOG_LEVEL
  value: {{ .Values.log.level }}
- name: FOREBAY_LOG_FORMAT
  value: json
{{- end -}}

{{/* The shards' names, separated by commas. */}}
{{- define "forebay.shards" -}}
{{- $names := list -}}
{{- range .Values.shards -}}{{- $names = append $names .name -}}{{- end -}}
{{- join "," $names -}}
{{- end -}}

{{/* The volume with a part's tables: Secrets that the operator writes, optional, because pods and
     operator start at the same time. Takes a list: the root and `receivers` or `processors`. */}}
{{- define "forebay.tables.volume" -}}
{{- $root := index . 0 -}}
{{- $kind := index . 1 -}}
- name: tables
  projected:
    defaultMode: 0440
    sources:
      {{- range $number := until (int $root.Values.tables.count) }}
      {{- $name := printf "%s-%02d" $kind $number }}
      - secret:
          name: {{ include "forebay.fullname" $root }}-{{ $name }}
          optional: true
          items:
            - key: {{ $name }}.json
              path: {{ $name }}.json
      {{- end }}
{{- end -}}

{{/* Network policies: DNS. */}}
{{- define "forebay.egress.dns" -}}
- ports:
    - { port: 53, protocol: UDP }
    - { port: 53, protocol: TCP }
{{- end -}}

{{/* Variables of traces, where there is an endpoint: OpenTelemetry's own, and what a pod is. */}}
{{- define "forebay.env.tracing" -}}
{{- with .Values.tracing -}}
{{- if .endpoint }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ .endpoint | quote }}
- name: OTEL_EXPORTER_OTLP_PROTOCOL
  value: {{ .protocol }}
- name: FOREBAY_TRACES_RATIO
  value: {{ .ratio | quote }}
- name: FOREBAY_TRACES_TRUST_INCOMING
  value: {{ .trustIncoming | quote }}
- name: POD_NAME
  valueFrom: { fieldRef: { fieldPath: metadata.name } }
- name: POD_NAMESPACE
  valueFrom: { fieldRef: { fieldPath: metadata.namespace } }
- name: NODE_NAME
  valueFrom: { fieldRef: { fieldPath: spec.nodeName } }
- name: OTEL_RESOURCE_ATTRIBUTES
  value: {{ include "forebay.tracing.resource" . }}
{{- end }}
{{- end -}}
{{- end -}}

{{/* Of what a span is: the kubelet puts the values in. */}}
{{- define "forebay.tracing.resource" -}}
k8s.pod.name=$(POD_NAME),k8s.namespace.name=$(POD_NAMESPACE),k8s.node.name=$(NODE_NAME),service.instance.id=$(POD_NAME)
{{- end -}}

{{/* The collector's port, as network policies see it: as set, or the endpoint's own. */}}
{{- define "forebay.tracing.port" -}}
{{- if .Values.tracing.port -}}
{{- int .Values.tracing.port -}}
{{- else -}}
{{- $url := urlParse .Values.tracing.endpoint -}}
{{- $named := regexFind ":[0-9]+$" $url.host | trimPrefix ":" -}}
{{- $named | default (ternary "443" "80" (eq $url.scheme "https")) -}}
{{- end -}}
{{- end -}}

{{/* Network policies: where traces go. */}}
{{- define "forebay.egress.tracing" -}}
{{- if .Values.tracing.endpoint }}
- ports:
    - { port: {{ include "forebay.tracing.port" . }}, protocol: TCP }
  {{- with .Values.tracing.to }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* Network policies: NATS, ours or one elsewhere. */}}
{{- define "forebay.egress.nats" -}}
{{- if .Values.nats.external.url }}
# Network policies cannot name the external NATS by a host name.
- {}
{{- else }}
- ports:
    - { port: 4222, protocol: TCP }
  to:
    - podSelector:
        matchLabels:
          {{- include "forebay.selectorLabels" (list . "nats") | nindent 10 }}
{{- end }}
{{- end -}}

{{/* Network policies: the admin port, for Forebay's own pods and for who reads metrics. */}}
{{- define "forebay.ingress.admin" -}}
- ports:
    - { port: admin, protocol: TCP }
  from:
    - podSelector:
        matchLabels:
          app.kubernetes.io/instance: {{ .Release.Name }}
          app.kubernetes.io/part-of: forebay
    {{- with include "forebay.adminFrom" . | fromYamlArray }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{/* Who may reach the ports for operators from other namespaces: whoever reads metrics, and KEDA. */}}
{{- define "forebay.adminFrom" -}}
{{- $peers := .Values.monitoring.from -}}
{{- if include "forebay.keda.enabled" . -}}
{{- $labels := dict "kubernetes.io/metadata.name" ((.Values.keda | default dict).namespace | default "keda") -}}
{{- $peers = append $peers (dict "namespaceSelector" (dict "matchLabels" $labels)) -}}
{{- end -}}
{{- toYaml $peers -}}
{{- end -}}

{{/* `true` where KEDA may scale, or nothing. Values of an older release do not have it. */}}
{{- define "forebay.keda.enabled" -}}
{{- if (.Values.keda | default (dict "enabled" true)).enabled -}}true{{- end -}}
{{- end -}}
