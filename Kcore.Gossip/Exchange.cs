using System.Net;
using Kcore.Gossip.Wire;

namespace Kcore.Gossip;

/// <summary>
/// One datagram, stream request or piece of a stream's answer: who sent it, and what is to be said in return. Reused
/// from one to the next, because most say nothing that needs a list.
/// </summary>
internal sealed class Exchange
{
    /// <summary>Datagrams that one datagram may be answered with; more goes over a stream.</summary>
    public const int AnswerPackets = 3;

    /// <summary>Bytes of answers after which the comparisons of one datagram are no longer answered one by one.</summary>
    public const int ReplyBytes = 4 * AnswerPackets * WireLimits.PayloadBytes;
    private const int OriginsPerRequest = 24;
    private const int MembersPerRequest = 48;

    public NodeId From { get; private set; }

    /// <summary>Null on a stream.</summary>
    public IPEndPoint? Source { get; private set; }

    /// <summary>What a stream's request is answered with, piece by piece; null unless this is one.</summary>
    public StreamAnswer? Answer { get; private set; }

    public bool IsStream => Source is null;

    /// <summary>Frames that go back at once.</summary>
    public List<byte[]> Reply { get; } = [];

    /// <summary>Origins of which the peer has shown more than we hold.</summary>
    public List<HeadDigest> Wanted { get; } = [];

    public List<NodeId> WantedMembers { get; } = [];

    /// <summary>More is wanted than a few requests can name.</summary>
    public bool WantsMuch => Wanted.Count > OriginsPerRequest * AnswerPackets || WantedMembers.Count > MembersPerRequest * AnswerPackets;

    public void Begin(NodeId from, IPEndPoint? source, StreamAnswer? answer = null)
    {
        (From, Source, Answer) = (from, source, answer);
        Reply.Clear();
        Wanted.Clear();
        WantedMembers.Clear();
    }

    public void Want(HeadDigest origin)
    {
        if (!Wanted.Exists(w => w.Origin == origin.Origin))
        {
            Wanted.Add(origin);
        }
    }

    /// <summary>Turns what is wanted into requests.</summary>
    public void AddRequests()
    {
        if (Wanted.Count > 0)
        {
            Reply.AddRange(Wanted.Chunk(OriginsPerRequest).Take(AnswerPackets).Select(Frames.DeltaRequest));
        }

        if (WantedMembers.Count > 0)
        {
            Reply.AddRange(WantedMembers.Chunk(MembersPerRequest).Take(AnswerPackets).Select(Frames.MemberRequest));
        }
    }
}
