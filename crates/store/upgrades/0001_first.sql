-- The store of PigWeight. SQL that SQLite and PostgreSQL both read; 0/1 for truth; times of day in seconds since 1970
-- (UTC); moments in a video as integer ticks (pts) or as seconds since its first frame (secs).
-- An upgrade is a new file with the next number; a file that has been released is never changed.

-- A file with moving pictures, as it was when it was looked at.
create table videos (
  id text primary key not null,            -- ULID
  path text not null,                      -- absolute
  name text not null,                      -- what people call it: the path below the folder it was found in
  size_bytes bigint not null,
  modified_nanos bigint not null,          -- of the file, since 1970
  head_hash text not null,                 -- BLAKE3 of the first 64 KiB: tells a replaced file of equal size and time
  superseded bigint not null default 0,    -- 1: the file at this path is another one now
  added_at bigint not null,
  error text,                              -- why it cannot be read; then everything below is null
  damage text,                             -- what is missing although it can be read
  container text,
  codec text,
  has_audio bigint,
  width_px bigint,                         -- of the upright picture
  height_px bigint,
  frames bigint,
  duration_secs double precision,
  packet_index blob                        -- the media crate's own form, with its own version
);
create unique index videos_by_path on videos (path) where superseded = 0;

-- One analysis of one video with one model and one set of rules.
create table runs (
  id text primary key not null,            -- ULID
  video_id text not null references videos (id),
  model_name text not null,
  model_hash text not null,                -- BLAKE3 of the model file
  device text not null,                    -- as measured
  settings text not null,                  -- everything that could change the result, one canonical line
  rule_version bigint not null,            -- of the counting rules
  state text not null,                     -- running, done, failed
  error text,                              -- why it failed
  created_at bigint not null,
  finished_at bigint,
  frames_done bigint not null default 0,   -- settled and written
  frames_looked bigint not null default 0, -- of those, seen by the detector
  damaged_frames bigint not null default 0,
  counted_to_secs double precision not null default 0, -- end of what is settled
  count_sum bigint not null default 0,     -- over settled frames
  count_max bigint not null default 0,
  next_chunk bigint not null default 0,    -- sequence of the chunk to write next
  checkpoint blob                          -- the pipeline's state after the last chunk; null before the first
);
create index runs_by_video on runs (video_id, created_at);

-- What was found, in time order: compressed columns (see columns.rs), one row a checkpoint.
create table detection_chunks (
  run_id text not null references runs (id),
  sequence bigint not null,
  first_secs double precision not null,
  last_secs double precision not null,
  frames bigint not null,
  boxes bigint not null,
  data blob not null,
  primary key (run_id, sequence)
);
create index detection_chunks_by_time on detection_chunks (run_id, last_secs);

-- Animals on the picture per stretch of time, at several levels of detail.
create table counts (
  run_id text not null references runs (id),
  level_secs bigint not null,              -- length of a stretch
  bucket bigint not null,                  -- its number: floor(secs / level_secs)
  frames bigint not null,
  sum bigint not null,
  min bigint not null,
  max bigint not null,
  primary key (run_id, level_secs, bucket)
);

-- A directed segment that a person drew on the picture, px of the upright frame.
create table lines (
  id text primary key not null,            -- ULID
  video_id text not null references videos (id),
  name text not null,
  x1_px double precision not null,
  y1_px double precision not null,
  x2_px double precision not null,
  y2_px double precision not null,
  created_at bigint not null
);
create index lines_by_video on lines (video_id);

-- How far a line has been counted over a run's chunks. Crossings and this row are written together, so a crossing is
-- neither lost nor doubled.
create table line_progress (
  run_id text not null references runs (id),
  line_id text not null,
  next_chunk bigint not null,              -- sequence of the first chunk not counted yet
  counter blob not null,                   -- the counter's state after the chunk before
  primary key (run_id, line_id)
);

create table crossings (
  run_id text not null references runs (id),
  line_id text not null,
  number bigint not null,                  -- from 0 in order of settling
  direction text not null,                 -- forward, backward
  track bigint not null,
  pts bigint not null,
  secs double precision not null,
  primary key (run_id, line_id, number)
);
