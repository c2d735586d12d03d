-- The order in which runs, lines and videos were added: a clock may be set back.
alter table runs add column number bigint not null default 0;
update runs set number = (select ordered.number from
  (select id, row_number() over (order by created_at, id) as number from runs) as ordered where ordered.id = runs.id);
create unique index runs_by_number on runs (number);
drop index runs_by_video;
create index runs_by_video on runs (video_id, number);

alter table lines add column number bigint not null default 0;
update lines set number = (select ordered.number from
  (select id, row_number() over (order by created_at, id) as number from lines) as ordered where ordered.id = lines.id);
create unique index lines_by_number on lines (number);

alter table videos add column number bigint not null default 0;
update videos set number = (select ordered.number from
  (select id, row_number() over (order by added_at, id) as number from videos) as ordered where ordered.id = videos.id);
create unique index videos_by_number on videos (number);
drop index videos_by_any_path;
create index videos_by_any_path on videos (path, number);
