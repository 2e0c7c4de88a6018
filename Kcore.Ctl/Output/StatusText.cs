using System.Collections.Immutable;
using Kcore.Contracts;
using Kcore.Ctl.Client;

namespace Kcore.Ctl.Output;

internal static class StatusText
{
    public static void Write(TextWriter output, StatusReport status)
    {
        ConsensusStatus raft = status.Consensus;
        DataplaneStatus kernel = status.Dataplane;
        ImmutableArray<string> degraded = status.Degraded.OrEmpty();
        ImmutableArray<MemberLine> members = [.. status.Members.OrEmpty().Where(m => m is not null)];
        int width = members.Select(m => (m.Name ?? "").Length).DefaultIfEmpty(0).Max();

        new Labels()
            .Add("Health", degraded.IsEmpty ? "ok" : "degraded")
            .Indent(degraded)
            .Add("Node", $"{status.Node} ({status.NodeId}), kcored {status.Version}")
            .Add("Cluster", status.ClusterId is null ? status.Phase : $"{status.ClusterId} epoch {status.ClusterEpoch}, {status.Phase}")
            .Add("Digest", status.Digest)
            .Indent(status.DigestDiffers.OrEmpty())
            .Add("Members", $"{members.Length}, {members.Count(m => m.Status == "alive")} alive")
            .Indent(members.Select(m => $"{(m.Name ?? "").PadRight(width)}  {(m.Address ?? "").PadRight(15)}  {m.Status}"))
            .Add("Consensus", $"{raft.Role}, leader {raft.Leader ?? "unknown"}, quorum {(raft.Quorum ? "yes" : "NO")}{Margin(raft)}")
            .Indent($"term {raft.Term}, commit {raft.Commit}, applied {raft.Applied}, voters {string.Join(", ", raft.Voters.OrEmpty())}")
            .Add("Dataplane", $"{kernel.Networks} networks, {kernel.Nics} NICs, {kernel.Repairs} repairs{(kernel.DeletionsHeld ? ", deletions held" : "")}")
            .Indent(kernel.LastPass is { } last ? $"last pass {EventText.Time(last)}, {kernel.LastPassMilliseconds:0.0} ms" : "no pass yet")
            .Indent(kernel.Refusals.OrEmpty().Select(r => $"refused: {r}"))
            .Write(output);
    }

    private static string Margin(ConsensusStatus raft) =>
        raft.Quorum ? $", {raft.Margin} more may fail"
        : raft.Missing.OrEmpty() is { IsEmpty: false } missing ? $", missing {string.Join(", ", missing)}{(raft.Since is { } since ? $" since {EventText.Time(since)}" : "")}"
        : "";
}
