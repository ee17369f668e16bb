{{/* What no schema can say: values that have to fit each other. Each message says what to do. */}}
{{- define "forebay.checks" -}}
{{- $problems := list -}}
{{- if not .Values.host -}}
{{- $problems = append $problems "host is missing: give the public host of your webhooks, such as --set host=hooks.example.com" -}}
{{- end -}}
{{- with .Values.receivers -}}
{{- if lt (int .terminationGracePeriodSeconds) (add (int .preStopSeconds) (int .drainSeconds) 5 | int) -}}
{{- $problems = append $problems "receivers.terminationGracePeriodSeconds is too low: give at least preStopSeconds + drainSeconds + 5" -}}
{{- end -}}
{{- if gt (int .shared.autoscaling.min) (int .shared.autoscaling.max) -}}
{{- $problems = append $problems "receivers.shared.autoscaling.min is above max: raise max or lower min" -}}
{{- end -}}
{{- end -}}
{{- with .Values.processors -}}
{{- if lt (int .terminationGracePeriodSeconds) (add (int .stopSeconds) 10 | int) -}}
{{- $problems = append $problems "processors.terminationGracePeriodSeconds is too low: give at least stopSeconds + 10" -}}
{{- end -}}
{{- if gt (int .autoscaling.min) (int .autoscaling.max) -}}
{{- $problems = append $problems "processors.autoscaling.min is above max: raise max or lower min" -}}
{{- end -}}
{{- end -}}
{{- if and (eq .Values.isolation "Shared") (not .Values.receivers.shared.enabled) -}}
{{- $problems = append $problems "isolation is Shared and there are no shared receivers: set receivers.shared.enabled=true or isolation=Dedicated" -}}
{{- end -}}
{{- $sum := 0 -}}
{{- $names := list -}}
{{- range .Values.shards -}}
{{- /* And one for the table in which the shard's processors share its partitions. */ -}}
{{- $sum = add $sum (int .raw.maxMiB) (int .events.maxMiB) (int .retry.maxMiB) (int .dead.maxMiB) (int (include "forebay.shardIndex" . | fromYaml).maxMiB) 1 -}}
{{- if has .name $names -}}
{{- $problems = append $problems (printf "two shards are called %q: give each a name of its own" .name) -}}
{{- end -}}
{{- $names = append $names .name -}}
{{- if and (include "forebay.nats.own" $) (gt (include "forebay.shardReplicas" (list $ .) | int) (int $.Values.nats.replicas)) -}}
{{- $problems = append $problems (printf "shard %q wants more replicas than NATS has servers: lower its replicas or raise nats.replicas" .name) -}}
{{- end -}}
{{- end -}}
{{- if and (include "forebay.nats.own" .) (gt (int $sum) (int .Values.nats.storeMiB)) -}}
{{- $problems = append $problems (printf "the streams of all shards take %d MiB and nats.storeMiB is %d: lower shards[].*.maxMiB or raise nats.storeMiB and nats.volume.size" (int $sum) (int .Values.nats.storeMiB)) -}}
{{- end -}}
{{- with $problems -}}
{{- fail (printf "\n- %s\n" (join "\n- " .)) -}}
{{- end -}}
{{- end -}}
