namespace Kcore.Daemon.Ipam.Reserve;

/// <summary>
/// When an attach may use the emergency reserve. Only order and thrift rest on it: an address of the reserve is safe to use
/// at any time.
/// </summary>
internal static class ReservePolicy
{
    /// <summary>Longer than an election takes: a leader that stopped is followed by another meanwhile.</summary>
    public static readonly TimeSpan Leaderless = TimeSpan.FromSeconds(3);

    /// <summary>The log is believed to have a leader and does not answer. Leaves time to make the NIC in the ten seconds of an attach.</summary>
    public static readonly TimeSpan Unanswered = TimeSpan.FromSeconds(6);

    /// <param name="waited">How long the request has not been answered.</param>
    /// <param name="withoutQuorum">For how long this node has known of no quorum; null while it knows of one.</param>
    public static bool IsDue(TimeSpan waited, TimeSpan? withoutQuorum) => waited >= Unanswered || withoutQuorum >= Leaderless;
}
