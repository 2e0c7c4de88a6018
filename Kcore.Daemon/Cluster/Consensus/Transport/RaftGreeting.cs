using System.Diagnostics.CodeAnalysis;
using Kcore.Raft;

namespace Kcore.Daemon.Cluster.Consensus.Transport;

/// <summary>
/// The first frame of a stream of log messages: which cluster, from whom to whom. Compared before any message is looked
/// at, so a term of another cluster, epoch or wiped store never reaches the core.
/// </summary>
internal readonly record struct RaftGreeting(ClusterRef Cluster, MemberId From, MemberId To)
{
    private const byte Version = 1;

    public byte[] Encode()
    {
        var writer = new FieldWriter(128);
        writer.U8(Version);
        writer.Id(Cluster.Id);
        writer.U32(Cluster.Epoch);
        writer.Member(From);
        writer.Member(To);
        return writer.ToArray();
    }

    public static bool TryDecode(ReadOnlySpan<byte> bytes, [NotNullWhen(true)] out RaftGreeting? greeting)
    {
        var reader = new FieldReader(bytes);
        byte version = reader.U8();
        var read = new RaftGreeting(new ClusterRef(reader.Id(), reader.U32()), reader.Member(), reader.Member());
        greeting = reader.IsAtValidEnd && version == Version ? read : null;
        return greeting is not null;
    }
}
