namespace Kcore.Simulation.Engine.Swarm;

/// <summary>
/// What a seed may be plagued by. Each seed draws a subset (Groce et al., Swarm Testing, ISSTA 2012): a run with
/// everything at once hides what only some of it would show.
/// </summary>
[Flags]
public enum SwarmFaults
{
    None = 0,
    Loss = 1 << 0,
    Bursts = 1 << 1,
    Duplication = 1 << 2,
    LongDelays = 1 << 3,
    HeavyTail = 1 << 4,
    StreamFailures = 1 << 5,
    OneWayCuts = 1 << 6,
    PartialMesh = 1 << 7,
    Partitions = 1 << 8,
    Stalls = 1 << 9,
    SlowLoops = 1 << 10,
    Crashes = 1 << 11,
    PowerCuts = 1 << 12,
    LostCatalogs = 1 << 13,
    ReplacedDisks = 1 << 14,
    OldBackups = 1 << 15,
    ClonedDisks = 1 << 16,
    AddressMoves = 1 << 17,
    AddressSwaps = 1 << 18,
    LongAbsences = 1 << 19,
    Leaves = 1 << 20,
    Removals = 1 << 21,
    Log = 1 << 22,
    BigFacts = 1 << 23,
    Deletions = 1 << 24,
    WriteBursts = 1 << 25,
}
