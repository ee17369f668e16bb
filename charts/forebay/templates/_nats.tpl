{{/* How the parts reach NATS: the chart's own, or an external one. */}}

{{/* Whether the chart runs NATS: "true" or empty. */}}
{{- define "forebay.nats.own" -}}
{{- if not .Values.nats.external.url -}}true{{- end -}}
{{- end -}}

{{- define "forebay.nats.fullname" -}}
{{- printf "%s-nats" (include "forebay.fullname" .) -}}
{{- end -}}

{{/* The name of one server in DNS. Takes a list: the root and the number. */}}
{{- define "forebay.nats.server" -}}
{{- $root := index . 0 -}}
{{- $name := include "forebay.nats.fullname" $root -}}
{{- printf "%s-%d.%s-headless.%s.svc.%s" $name (int (index . 1)) $name $root.Release.Namespace $root.Values.clusterDomain -}}
{{- end -}}

{{/* One server is reached by its Service, whose address stays when the pod moves; of three each by its
     own name, so that a part that lost one goes to another. */}}
{{- define "forebay.nats.url" -}}
{{- if .Values.nats.external.url -}}
{{- .Values.nats.external.url -}}
{{- else -}}
{{- $scheme := ternary "tls" "nats" .Values.nats.tls.enabled -}}
{{- if eq (int .Values.nats.replicas) 1 -}}
{{- printf "%s://%s.%s.svc.%s:4222" $scheme (include "forebay.nats.fullname" .) .Release.Namespace .Values.clusterDomain -}}
{{- else -}}
{{- $urls := list -}}
{{- range $number := until (int .Values.nats.replicas) -}}
{{- $urls = append $urls (printf "%s://%s:4222" $scheme (include "forebay.nats.server" (list $ $number))) -}}
{{- end -}}
{{- join "," $urls -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The Secret with a part's user; empty where an external NATS takes anyone. Takes a list: the root
     and `receiver`, `processor` or `operator`. */}}
{{- define "forebay.nats.authSecret" -}}
{{- $root := index . 0 -}}
{{- $part := index . 1 -}}
{{- if include "forebay.nats.own" $root -}}
{{- printf "%s-%s" (include "forebay.nats.fullname" $root) $part -}}
{{- else -}}
{{- (index $root.Values.nats.external $part).secretName -}}
{{- end -}}
{{- end -}}

{{/* Its keys, as a map. */}}
{{- define "forebay.nats.authKeys" -}}
{{- $root := index . 0 -}}
{{- if include "forebay.nats.own" $root -}}
{{- dict "user" "user" "password" "password" "credentials" "" | toJson -}}
{{- else -}}
{{- with index $root.Values.nats.external (index . 1) -}}
{{- dict "user" .userKey "password" .passwordKey "credentials" .credentialsKey | toJson -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The Secret with the servers' certificate authority; empty for the system's, or no TLS. */}}
{{- define "forebay.nats.caSecret" -}}
{{- if not (include "forebay.nats.own" .) -}}
{{- .Values.nats.external.caSecretName -}}
{{- else if .Values.nats.tls.enabled -}}
{{- .Values.nats.tls.existingSecret | default (printf "%s-ca" (include "forebay.nats.fullname" .)) -}}
{{- end -}}
{{- end -}}

{{- define "forebay.nats.caKey" -}}
{{- if include "forebay.nats.own" . -}}ca.crt{{- else -}}{{- .Values.nats.external.caKey -}}{{- end -}}
{{- end -}}

{{/* The Secret with the servers' own certificate. */}}
{{- define "forebay.nats.tlsSecret" -}}
{{- .Values.nats.tls.existingSecret | default (printf "%s-tls" (include "forebay.nats.fullname" .)) -}}
{{- end -}}

{{/* The variables of a part. Takes a list: the root and the part. */}}
{{- define "forebay.nats.env" -}}
{{- $root := index . 0 -}}
{{- $secret := include "forebay.nats.authSecret" . -}}
{{- $keys := include "forebay.nats.authKeys" . | fromJson -}}
- name: FOREBAY_NATS_URL
  value: {{ include "forebay.nats.url" $root | quote }}
{{- if and $secret $keys.credentials }}
- name: FOREBAY_NATS_CREDENTIALS
  value: /etc/forebay/nats/user.creds
{{- else if $secret }}
- name: FOREBAY_NATS_USER
  valueFrom:
    secretKeyRef: { name: {{ $secret }}, key: {{ $keys.user }} }
- name: FOREBAY_NATS_PASSWORD
  valueFrom:
    secretKeyRef: { name: {{ $secret }}, key: {{ $keys.password }} }
{{- end }}
{{- if include "forebay.nats.caSecret" $root }}
- name: FOREBAY_NATS_TLS_CA
  value: /etc/forebay/nats/ca.crt
{{- end }}
{{- end -}}

{{/* The volume with a part's files for NATS; empty where it needs none. */}}
{{- define "forebay.nats.volume" -}}
{{- $root := index . 0 -}}
{{- $ca := include "forebay.nats.caSecret" $root -}}
{{- $secret := include "forebay.nats.authSecret" . -}}
{{- $keys := include "forebay.nats.authKeys" . | fromJson -}}
{{- if or $ca (and $secret $keys.credentials) }}
- name: nats
  projected:
    defaultMode: 0440
    sources:
      {{- with $ca }}
      - secret:
          name: {{ . }}
          items:
            - key: {{ include "forebay.nats.caKey" $root }}
              path: ca.crt
      {{- end }}
      {{- if and $secret $keys.credentials }}
      - secret:
          name: {{ $secret }}
          items:
            - key: {{ $keys.credentials }}
              path: user.creds
      {{- end }}
{{- end }}
{{- end -}}

{{- define "forebay.nats.volumeMount" -}}
{{- if include "forebay.nats.volume" . }}
- name: nats
  mountPath: /etc/forebay/nats
  readOnly: true
{{- end }}
{{- end -}}

{{/* How many servers hold each message of a shard. Takes a list: the root and the shard. */}}
{{- define "forebay.shardReplicas" -}}
{{- $root := index . 0 -}}
{{- $own := ternary (int $root.Values.nats.replicas) (int $root.Values.nats.external.streamReplicas) (eq (include "forebay.nats.own" $root) "true") -}}
{{- (index . 1).replicas | default $own | int -}}
{{- end -}}

{{/* Four fifths of a memory limit in bytes, for Go's garbage collector to keep below: nats-server would
otherwise double its heap while a large backlog is deleted (docs/design/0020). Takes the limit, such as `2Gi`. */}}
{{- define "forebay.nats.goMemoryLimit" -}}
{{- $text := toString . -}}
{{- $number := regexFind "^[0-9]+([.][0-9]+)?" $text -}}
{{- $units := dict "" 1 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- $unit := trimPrefix $number $text -}}
{{- if and $number (hasKey $units $unit) -}}
{{- int64 (mulf (float64 $number) (float64 (get $units $unit)) 0.8) -}}
{{- end -}}
{{- end -}}
{{- /* How a shard's index is kept, as YAML: lists of shards from before there was one name none. */ -}}
{{- define "forebay.shardIndex" -}}
{{- toYaml (.index | default (dict "maxAge" "192h" "maxMiB" 384)) -}}
{{- end -}}
