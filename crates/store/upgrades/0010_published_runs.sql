-- What people see of a video is one complete run, until another one is complete.
alter table videos add column published_run_id text references runs (id);
update videos set published_run_id = (
  select runs.id from runs where runs.video_id = videos.id and runs.state = 'done'
  order by runs.created_at desc, runs.id desc limit 1
);

alter table runs rename column looks to inference_settings;
alter table runs rename column frames_looked to frames_inferred;

-- Apart from the runs, so that reading a run never reads it. A run that has ended needs none.
create table run_checkpoints (
  run_id text primary key not null references runs (id),
  state blob not null
);
insert into run_checkpoints (run_id, state)
select id, checkpoint from runs where checkpoint is not null and state = 'running';
alter table runs drop column checkpoint;

-- A run that another one has followed is not gone on with, unless its settings come back.
update runs set state = 'abandoned' where state = 'running' and exists (
  select 1 from runs as later where later.video_id = runs.video_id
  and (later.created_at > runs.created_at or (later.created_at = runs.created_at and later.id > runs.id))
);
