"""Attributes of monitoring: how often to look, and how finely."""

from dataclasses import dataclass

_LONGEST_US = 24 * 3600 * 1_000_000


@dataclass(frozen=True, slots=True)
class Attrs:
    """Intervals and bounds of one monitoring run (``struct damon_attrs``).

    Times are in microseconds, sizes in bytes.

    Raises ValueError, naming the bound that was broken.
    """

    sample_us: int = 5_000
    aggr_us: int = 100_000
    update_us: int = 1_000_000
    min_nr_regions: int = 10
    max_nr_regions: int = 1_000
    min_region_size: int = 4_096

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

    @property
    def max_nr_samples(self) -> int:
        """How many samples one aggregation interval holds, at least 1."""
        return max(1, self.aggr_us // self.sample_us)
