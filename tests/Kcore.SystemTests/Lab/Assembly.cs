// The machine is shared: one lab at a time, or timings mean nothing.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
