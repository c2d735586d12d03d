-- What is wanted of the background, one row each: it outlives the process that works on it. How far it is stands with its run, and
-- whether it is paused with its video. Who works on it holds it; who holds it longer than was said is gone.
create table jobs (
  id text primary key not null,            -- ULID
  number bigint not null,                  -- in the order in which they were made
  video_id text not null references videos (id),
  kind text not null,                      -- analysis
  wish text not null,                      -- hash of model, settings and rules: the same wish is the same job
  state text not null,                     -- waiting, running, done, failed, cancelled
  priority bigint not null default 0,      -- -100 to 100, higher ones first
  tries bigint not null default 0,         -- how often it was begun since it last came forward
  due_at bigint not null default 0,        -- not to be begun before
  error text,                              -- why it failed, was cancelled, or has to be tried again
  run_id text references runs (id),        -- null before the first step
  created_at bigint not null,
  started_at bigint,                       -- for the first time
  finished_at bigint,
  holder text,                             -- the process that works on it
  held_until bigint
);
create unique index jobs_by_wish on jobs (video_id, kind, wish);
create index jobs_by_state on jobs (state, number);
