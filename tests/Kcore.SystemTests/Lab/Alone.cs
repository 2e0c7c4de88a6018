namespace Kcore.SystemTests.Lab;

/// <summary>Tests on LANs of their own that measure how soon something is done: nothing else runs beside them.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class Alone
{
    public const string Name = "alone";
}
