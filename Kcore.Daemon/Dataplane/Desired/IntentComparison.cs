namespace Kcore.Daemon.Dataplane.Desired;

/// <summary>Intents by value: immutable arrays compare by reference, so a record's own equality would see a change each time.</summary>
internal static class IntentComparison
{
    public static bool Same(DataplaneIntent a, DataplaneIntent b) =>
        a.Self == b.Self
        && a.VtepMembers.SequenceEqual(b.VtepMembers)
        && a.Overlays.Length == b.Overlays.Length
        && a.Overlays.Zip(b.Overlays).All(p => Same(p.First, p.Second));

    private static bool Same(OverlayIntent a, OverlayIntent b) =>
        a with { Peers = [], RemoteNics = [], LocalNics = [] } == b with { Peers = [], RemoteNics = [], LocalNics = [] }
        && a.Peers.SequenceEqual(b.Peers)
        && a.RemoteNics.SequenceEqual(b.RemoteNics)
        && a.LocalNics.SequenceEqual(b.LocalNics);
}
