// Most of a test is waiting for timers of the protocols, so LANs stand side by side; what fills the machine or measures
// it stands in a collection that runs alone.
[assembly: CollectionBehavior(MaxParallelThreads = 3)]
[assembly: TestCollectionOrderer("Kcore.SystemTests.Lab.LongestFirst", "Kcore.SystemTests")]
