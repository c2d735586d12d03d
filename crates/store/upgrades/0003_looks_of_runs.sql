-- What was looked at and how, without the thresholds of tracking: runs that agree in it have seen the same.
alter table runs add column looks text;
-- Detections from this score on are kept; null in runs from before this upgrade.
alter table runs add column least_score double precision;
