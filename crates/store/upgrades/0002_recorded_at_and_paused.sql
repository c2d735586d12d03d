-- When recording began as the file says, seconds since 1970 (UTC).
alter table videos add column recorded_at bigint;
-- 1: the background leaves it alone until somebody says otherwise.
alter table videos add column paused bigint not null default 0;
