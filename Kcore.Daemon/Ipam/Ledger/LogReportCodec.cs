using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using Kcore.Daemon.Cluster.Consensus;
using Kcore.Raft;

namespace Kcore.Daemon.Ipam.Ledger;

/// <summary>What the leader tells about the log and its members.</summary>
internal sealed record LogSummary(ulong Term, MemberId Leader, ulong Commit, ulong Applied, ulong Last, bool IsJoint, ImmutableArray<LogMember> Members);

/// <summary>One member of the group.</summary>
/// <param name="Match">Everything up to here is durable there.</param>
/// <param name="Heard">Since its last answer.</param>
/// <param name="Healthy">Since its last sign that its disk keeps up.</param>
internal sealed record LogMember(MemberId Member, bool Votes, ulong Match, TimeSpan Heard, TimeSpan Healthy, bool IsInstalling);

/// <summary>Bytes of a leader's report, for nodes that are asked how the cluster stands.</summary>
internal static class LogReportCodec
{
    private const byte Version = 1;
    private const int MembersMax = 3 * Configuration.MembersMax;
    private const int MemberBytes = 32 + 1 + 8 + 4 + 4 + 1;

    public static byte[] Encode(LogReport report)
    {
        var writer = new FieldWriter();
        writer.U8(Version);
        writer.U64(report.Status.Term);
        writer.Member(report.Status.Leader);
        writer.U64(report.Status.CommitIndex);
        writer.U64(report.Status.AppliedIndex);
        writer.U64(report.Status.LastIndex);
        writer.Flag(report.Configuration.IsJoint);
        writer.U32((uint)report.Peers.Length);
        foreach (PeerReport peer in report.Peers)
        {
            writer.Member(peer.Member);
            writer.Flag(report.Configuration.IsVoter(peer.Member));
            writer.U64(peer.Match);
            writer.U32(Milliseconds(peer.Heard));
            writer.U32(Milliseconds(peer.Healthy));
            writer.Flag(peer.IsInstalling);
        }

        return writer.ToArray();
    }

    /// <summary>False when the bytes are no report of this version.</summary>
    public static bool TryDecode(ReadOnlySpan<byte> bytes, [NotNullWhen(true)] out LogSummary? summary)
    {
        var reader = new FieldReader(bytes);
        byte version = reader.U8();
        ulong term = reader.U64();
        MemberId leader = reader.Member();
        ulong commit = reader.U64();
        ulong applied = reader.U64();
        ulong last = reader.U64();
        bool isJoint = reader.Flag();
        var members = new LogMember[reader.Count(MembersMax, MemberBytes)];
        for (int i = 0; i < members.Length; i++)
        {
            members[i] = new LogMember(
                reader.Member(), reader.Flag(), reader.U64(), TimeSpan.FromMilliseconds(reader.U32()), TimeSpan.FromMilliseconds(reader.U32()), reader.Flag());
        }

        summary = reader.IsAtValidEnd && version == Version ? new LogSummary(term, leader, commit, applied, last, isJoint, [.. members]) : null;
        return summary is not null;
    }

    private static uint Milliseconds(TimeSpan span) => (uint)Math.Min(span.TotalMilliseconds, uint.MaxValue);
}
