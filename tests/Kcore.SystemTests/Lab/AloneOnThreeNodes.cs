namespace Kcore.SystemTests.Lab;

/// <summary>A LAN of three nodes for tests that fill the machine: nothing else runs beside them.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class AloneOnThreeNodes : ICollectionFixture<ThreeNodes>
{
    public const string Name = "three nodes, alone";
}
