namespace Kcore.SystemTests.Lab;

/// <summary>A LAN of three nodes whose daemons and devices are taken from under them; those tests are long.</summary>
[CollectionDefinition(Name)]
public sealed class DisturbedNodes : ICollectionFixture<ThreeNodes>
{
    public const string Name = "disturbed nodes";
}
