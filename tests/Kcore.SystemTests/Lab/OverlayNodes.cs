namespace Kcore.SystemTests.Lab;

/// <summary>A second LAN of three nodes, so that the many tests of overlays need not wait for each other.</summary>
[CollectionDefinition(Name)]
public sealed class OverlayNodes : ICollectionFixture<ThreeNodes>
{
    public const string Name = "overlay nodes";
}
