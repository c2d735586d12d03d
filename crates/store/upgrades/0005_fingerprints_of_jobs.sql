-- What a job's kind, model, settings and rules hash to is its fingerprint; "wish" is a person's word for what a queue is asked for.
alter table jobs rename column wish to fingerprint;
drop index jobs_by_wish;
create unique index jobs_by_fingerprint on jobs (video_id, kind, fingerprint);
