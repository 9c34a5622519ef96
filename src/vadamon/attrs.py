"""Attributes of monitoring: how often to look, and how finely."""

from dataclasses import dataclass, replace

_LONGEST_US = 24 * 3600 * 1_000_000


@dataclass(frozen=True, slots=True)
class IntervalsGoal:
    """What sample and aggregation interval are tuned towards (``struct damon_intervals_goal``).

    Raises ValueError, naming the bound that was broken.
    """

    access_share: float = 0.04
    """Of all accesses that could be observed, bytes times samples, the share that is to be: above 0 and up to 1."""
    nr_aggrs: int = 3
    """Aggregation intervals between two changes: it is their accesses that are looked at."""
    min_sample_us: int = 5_000
    max_sample_us: int = 10_000_000

    def __post_init__(self) -> None:
        if not 0 < self.access_share <= 1:
            raise ValueError(f"access_share must be above 0 and up to 1, not {self.access_share}")
        if self.nr_aggrs < 1:
            raise ValueError(f"nr_aggrs must be at least 1, not {self.nr_aggrs}")
        if not 1 <= self.min_sample_us <= self.max_sample_us:
            raise ValueError(
                f"min_sample_us ({self.min_sample_us}) must be at least 1 and not above max_sample_us "
                f"({self.max_sample_us})"
            )


@dataclass(frozen=True, slots=True)
class Attrs:
    """Intervals and bounds of one monitoring run (``struct damon_attrs``).

    Times are in microseconds, sizes in bytes. With an ``intervals_goal`` sample and aggregation interval are those to
    begin with, and tuned from then on; how many samples an aggregation interval holds stays.

    Raises ValueError, naming the bound that was broken.
    """

    sample_us: int = 5_000
    aggr_us: int = 100_000
    update_us: int = 1_000_000
    min_nr_regions: int = 10
    max_nr_regions: int = 1_000
    min_region_size: int = 4_096
    intervals_goal: IntervalsGoal | None = None

    def __post_init__(self) -> None:
        if self.sample_us < 1:
            raise ValueError(f"sample interval must be at least 1 us, not {self.sample_us} us")
        if self.aggr_us < self.sample_us:
            raise ValueError(
                f"aggregation interval ({self.aggr_us} us) must not be shorter than the sample interval "
                f"({self.sample_us} us)"
            )
        if self.update_us < self.sample_us:
            raise ValueError(
                f"update interval ({self.update_us} us) must not be shorter than the sample interval "
                f"({self.sample_us} us)"
            )
        for name, value in (("aggregation", self.aggr_us), ("update", self.update_us)):
            if value > _LONGEST_US:
                raise ValueError(f"{name} interval must be at most 24 hours, not {value} us")
        if self.min_nr_regions < 3:
            raise ValueError(f"min_nr_regions must be at least 3, not {self.min_nr_regions}")
        if self.max_nr_regions < self.min_nr_regions:
            raise ValueError(
                f"max_nr_regions ({self.max_nr_regions}) must not be below min_nr_regions ({self.min_nr_regions})"
            )
        if self.min_region_size < 1 or self.min_region_size & (self.min_region_size - 1):
            raise ValueError(f"min_region_size must be a power of two, not {self.min_region_size}")
        if self.intervals_goal is not None:
            self._check_goal(self.intervals_goal)

    def _check_goal(self, goal: IntervalsGoal) -> None:
        if not goal.min_sample_us <= self.sample_us <= goal.max_sample_us:
            raise ValueError(
                f"sample interval must be {goal.min_sample_us} us to {goal.max_sample_us} us to be tuned, "
                f"not {self.sample_us} us"
            )
        longest_us = goal.max_sample_us * self.max_nr_samples
        if longest_us > _LONGEST_US:
            raise ValueError(
                f"aggregation interval would be tuned up to {longest_us} us, which is more than 24 hours: "
                "make it shorter, or the sample interval longer"
            )

    @property
    def max_nr_samples(self) -> int:
        """How many samples one aggregation interval holds, at least 1."""
        return max(1, self.aggr_us // self.sample_us)

    def with_sample_us(self, sample_us: int) -> "Attrs":
        """Return them with this sample interval, and as many samples in an aggregation interval as before."""
        return replace(
            self,
            sample_us=sample_us,
            aggr_us=self.max_nr_samples * sample_us,
            update_us=max(self.update_us, sample_us),
        )
