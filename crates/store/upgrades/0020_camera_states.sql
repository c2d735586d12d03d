-- The states of cameras, kept over restarts.
create table camera_states (
  source_id text not null references sources (id),
  number bigint not null,
  state text not null,
  reason_code text,
  reason text,
  since_millis bigint not null,
  primary key (source_id, number)
);
