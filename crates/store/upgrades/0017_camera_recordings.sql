-- What cameras have sent, kept in files.
create table camera_recordings (
  id text primary key not null,
  source_id text not null references sources (id),
  start_ticks bigint not null,
  end_ticks bigint,
  started_at_millis bigint not null,
  size_bytes bigint not null default 0,
  frames bigint not null default 0
);
create index camera_recordings_by_time on camera_recordings (source_id, start_ticks);

create table camera_marks (
  id text primary key not null,
  source_id text not null references sources (id),
  from_secs double precision not null,
  to_secs double precision not null,
  note text not null,
  created_at bigint not null
);
create index camera_marks_by_source on camera_marks (source_id, from_secs);

alter table cameras add column recording text;
create index crossings_by_time on crossings (run_id, secs);
