-- Events for other programs, and how far each webhook has been told of them.
create table webhooks (
  id text primary key not null,
  delivered_number bigint not null,
  created_at bigint not null
);
create table events (
  number bigint primary key not null,
  id text not null,
  kind text not null,
  crossing_id text references crossings (id),
  run_id text references runs (id),
  replaced_run_id text references runs (id),
  source_id text references sources (id),
  state text,
  reason_code text,
  reason text,
  occurred_at_millis bigint not null
);
-- Messages that an MQTT broker keeps of this server.
create table retained_topics (
  topic text primary key not null
);
-- A line that is drawn while a camera is counted has no events of the time before.
alter table line_versions add column camera_settled_secs double precision;
