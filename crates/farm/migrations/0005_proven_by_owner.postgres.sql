-- What an owner's machines proved in an epoch is looked up on every overview: by the owner, not among all machines of the lane.
DROP INDEX farm_proven_by_epoch;
CREATE INDEX farm_proven_by_owner ON farm_proven (lane, epoch, owner);
