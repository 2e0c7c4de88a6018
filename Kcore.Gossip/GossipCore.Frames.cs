using System.Buffers.Binary;
using System.Net;
using Kcore.Gossip.Wire;

namespace Kcore.Gossip;

// Frames from peers, one method for each kind. A frame that breaks the format ends its datagram; the frames before it
// have taken effect, which is harmless because every frame stands for itself.
public sealed partial class GossipCore
{
    private const int DatagramBudget = WireLimits.PayloadBytes;
    private const int StreamBudget = 60_000;
    private const int AnswerPackets = 3;

    /// <summary>Where frames came from and where answers go.</summary>
    private sealed class Exchange(NodeId from, IPEndPoint? source)
    {
        public NodeId From { get; } = from;

        /// <summary>Null on a stream.</summary>
        public IPEndPoint? Source { get; } = source;

        public bool IsStream => Source is null;

        public List<byte[]> Reply { get; } = [];

        /// <summary>Origins of which the peer has shown more than we hold.</summary>
        public List<HeadDigest> Wanted { get; } = [];

        public List<NodeId> WantedMembers { get; } = [];
    }

    private void OnDatagram(GossipInput.Datagram datagram)
    {
        if (datagram.Payload.Length > WireLimits.DatagramBytes)
        {
            MalformedInputs++;
            return;
        }

        if (datagram.From == _self.Id)
        {
            OnOwnDatagram(datagram);
            return;
        }

        if (_forgotten.ContainsKey(datagram.From) && _members.Find(datagram.From) is null && !CarriesMember(datagram))
        {
            return;
        }

        _heard[datagram.From] = _now;
        var exchange = new Exchange(datagram.From, datagram.Source);
        ReadFrames(datagram.Payload, exchange);
        FinishExchange(exchange);
        if (exchange.Reply.Count > 0)
        {
            Send(datagram.From, datagram.Source, exchange.Reply);
        }
    }

    /// <summary>A removed node may come back only by introducing itself with a later epoch.</summary>
    private static bool CarriesMember(GossipInput.Datagram datagram) =>
        datagram.Payload.Length > 0 && datagram.Payload.Span[0] == (byte)FrameType.Member;

    private static void FinishExchange(Exchange exchange)
    {
        if (exchange.Wanted.Count > 0)
        {
            exchange.Reply.AddRange(exchange.Wanted.Chunk(24).Take(AnswerPackets).Select(Frames.DeltaRequest));
        }

        if (exchange.WantedMembers.Count > 0)
        {
            exchange.Reply.AddRange(exchange.WantedMembers.Chunk(48).Take(AnswerPackets).Select(Frames.MemberRequest));
        }
    }

    private void ReadFrames(ReadOnlyMemory<byte> payload, Exchange exchange)
    {
        try
        {
            int frames = 0;
            ReadOnlySpan<byte> rest = payload.Span;
            while (rest.Length > 0)
            {
                if (rest.Length < Frames.HeaderBytes || (!exchange.IsStream && ++frames > WireLimits.FramesPerDatagram))
                {
                    throw new WireFormatException("not a sequence of frames");
                }

                int length = BinaryPrimitives.ReadUInt16BigEndian(rest[1..]);
                if (length > rest.Length - Frames.HeaderBytes)
                {
                    throw new WireFormatException($"a frame of {length} bytes, {rest.Length} left");
                }

                var reader = new MessagePackReader(rest.Slice(Frames.HeaderBytes, length));
                ReadFrame((FrameType)rest[0], ref reader, exchange);
                rest = rest[(Frames.HeaderBytes + length)..];
            }
        }
        catch (WireFormatException)
        {
            MalformedInputs++;
        }
    }

    private void ReadFrame(FrameType type, ref MessagePackReader reader, Exchange exchange)
    {
        switch (type)
        {
            case FrameType.Ping:
                OnPing(ref reader, exchange);
                break;
            case FrameType.Ack:
                OnAck(ref reader, exchange);
                break;
            case FrameType.PingRequest:
                OnPingRequest(ref reader, exchange);
                break;
            case FrameType.Vouch:
                OnVouch(ref reader);
                break;
            case FrameType.Nack:
                OnNack(ref reader, exchange);
                break;
            case FrameType.Member:
                int extra = reader.BeginArray(2);
                Member member = MemberCodec.Read(ref reader);
                NodeId? accuser = Frames.ReadOptionalId(ref reader);
                reader.EndArray(extra);
                MergeMember(member, accuser, exchange.From, exchange.Source);
                break;
            case FrameType.Delta:
                OnDelta(ref reader, exchange);
                break;
            case FrameType.Snapshot:
                OnSnapshot(ref reader, exchange);
                break;
            case FrameType.Buckets:
                OnBuckets(ref reader, exchange);
                break;
            case FrameType.Heads:
                OnHeads(ref reader, exchange);
                break;
            case FrameType.MemberHeads:
                OnMemberHeads(ref reader, exchange);
                break;
            case FrameType.MemberRequest:
                OnMemberRequest(ref reader, exchange);
                break;
            case FrameType.DeltaRequest:
                OnDeltaRequest(ref reader, exchange);
                break;
            case FrameType.StreamHint:
                if (!exchange.IsStream)
                {
                    OpenSyncStream(exchange.From);
                }

                break;
            default:
                UnknownFrames++;
                break;
        }
    }
}
