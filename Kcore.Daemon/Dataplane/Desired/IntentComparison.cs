namespace Kcore.Daemon.Dataplane.Desired;

/// <summary>Intents by value: immutable arrays compare by reference, so a record's own equality would see a change each time.</summary>
internal static class IntentComparison
{
    public static bool Same(DataplaneIntent a, DataplaneIntent b) =>
        a.Self == b.Self
        && a.Mesh == b.Mesh
        && a.VtepMembers.SequenceEqual(b.VtepMembers)
        && (a.Overlays == b.Overlays
            || (a.Overlays.Length == b.Overlays.Length && a.Overlays.Zip(b.Overlays).All(p => Same(p.First, p.Second))))
        && a.Locals.Length == b.Locals.Length
        && a.Locals.Zip(b.Locals).All(p => Same(p.First, p.Second));

    public static bool Same(LocalNetworkIntent a, LocalNetworkIntent b) =>
        a with { LocalNics = [], Nat = null } == b with { LocalNics = [], Nat = null }
        && a.LocalNics.SequenceEqual(b.LocalNics)
        && (a.Nat is null || b.Nat is null
            ? a.Nat == b.Nat
            : a.Nat with { Ports = [] } == b.Nat with { Ports = [] } && a.Nat.Ports.SequenceEqual(b.Nat.Ports));

    private static bool Same(OverlayIntent a, OverlayIntent b) =>
        a with { Peers = [], RemoteNics = [], LocalNics = [], WithoutKey = [] } == b with { Peers = [], RemoteNics = [], LocalNics = [], WithoutKey = [] }
        && a.WithoutKey.SequenceEqual(b.WithoutKey)
        && a.Peers.SequenceEqual(b.Peers)
        && a.RemoteNics.SequenceEqual(b.RemoteNics)
        && a.LocalNics.SequenceEqual(b.LocalNics);
}
