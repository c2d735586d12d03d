-- A line keeps its identity while it is moved: each move is a version of its own. It belongs to a source or to one recording.
alter table lines rename to lines_before;
drop index lines_by_video;
create table lines (
  id text primary key not null,            -- ULID
  source_id text references sources (id),  -- it holds for all recordings of this source,
  video_id text references videos (id),    -- or for this recording alone; exactly one of the two
  name text not null,
  created_at bigint not null,
  deleted_at bigint,                       -- no longer shown or counted; what was counted stays
  check ((source_id is null) <> (video_id is null))
);
create index lines_by_source on lines (source_id);
create index lines_by_video on lines (video_id);
create table line_versions (
  id text primary key not null,            -- ULID
  line_id text not null references lines (id),
  number bigint not null,                  -- from 1
  x1_px double precision not null,
  y1_px double precision not null,
  x2_px double precision not null,
  y2_px double precision not null,
  picture_width_px bigint,                 -- of the upright picture it was drawn on; null where that was not known
  picture_height_px bigint,
  created_at bigint not null,
  unique (line_id, number)
);
-- The first version takes the line's identifier.
insert into lines (id, video_id, name, created_at) select id, video_id, name, created_at from lines_before;
insert into line_versions (id, line_id, number, x1_px, y1_px, x2_px, y2_px, picture_width_px, picture_height_px, created_at)
select lines_before.id, lines_before.id, 1, x1_px, y1_px, x2_px, y2_px, width_px, height_px, created_at
from lines_before join videos on videos.id = lines_before.video_id;
drop table lines_before;

alter table line_progress rename to line_progress_before;
create table line_progress (
  run_id text not null references runs (id),
  line_version_id text not null references line_versions (id),
  next_chunk bigint not null,
  counter blob not null,
  primary key (run_id, line_version_id)
);
insert into line_progress (run_id, line_version_id, next_chunk, counter)
select run_id, line_id, next_chunk, counter from line_progress_before where line_id in (select id from line_versions);
drop table line_progress_before;

-- A crossing has an identifier that never changes. One from before gets its run's time, the ends of its run's and its line's
-- identifiers, and its number: a ULID that no other has.
alter table crossings rename to crossings_before;
create table crossings (
  id text primary key not null,            -- ULID
  run_id text not null references runs (id),
  line_version_id text not null references line_versions (id),
  number bigint not null,
  direction text not null,
  track bigint not null,
  pts bigint not null,
  secs double precision not null,
  unique (run_id, line_version_id, number)
);
insert into crossings (id, run_id, line_version_id, number, direction, track, pts, secs)
select substr(run_id, 1, 10) || substr(run_id, 23, 4) || substr(line_id, 23, 4) || substr(cast(100000000 + number as text), 2),
  run_id, line_id, number, direction, track, pts, secs
from crossings_before where line_id in (select id from line_versions);
drop table crossings_before;
