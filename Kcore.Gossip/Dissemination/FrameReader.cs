using System.Buffers.Binary;
using System.Collections.Immutable;
using Kcore.Gossip.Wire;

namespace Kcore.Gossip;

/// <summary>
/// Takes payloads apart and hands each frame to the part of the core it is for. A frame that breaks the format ends its
/// payload; the frames before it have taken effect, which is harmless because every frame stands for itself.
/// </summary>
internal sealed class FrameReader(Roster roster, FailureDetector detector, PeerFacts facts, Comparison comparison, AntiEntropy repair)
{
    /// <summary>Payloads that broke the format.</summary>
    public long Malformed { get; private set; }

    /// <summary>Frames of kinds this version does not know.</summary>
    public long Unknown { get; private set; }

    /// <summary>Counts a payload that was refused before its frames were read.</summary>
    public void Refuse() => Malformed++;

    public void Read(ReadOnlySpan<byte> rest, Exchange exchange)
    {
        try
        {
            int frames = 0;
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
            Malformed++;
        }
    }

    private void ReadFrame(FrameType type, ref MessagePackReader reader, Exchange exchange)
    {
        switch (type)
        {
            case FrameType.Ping:
                if (detector.OnPing(ref reader, exchange) is { } digest)
                {
                    repair.OnDigest(exchange, digest);
                }

                break;
            case FrameType.Ack:
                repair.OnDigest(exchange, detector.OnAck(ref reader, exchange));
                break;
            case FrameType.PingRequest:
                detector.OnPingRequest(ref reader, exchange);
                break;
            case FrameType.Vouch:
                detector.OnVouch(ref reader);
                break;
            case FrameType.Nack:
                detector.OnNack(ref reader, exchange);
                break;
            case FrameType.Member:
                OnMember(ref reader, exchange);
                break;
            case FrameType.Delta:
                facts.OnDelta(ref reader, exchange);
                break;
            case FrameType.Snapshot:
                facts.OnSnapshot(ref reader, exchange);
                break;
            case FrameType.Floating:
                facts.OnFloating(ref reader, exchange);
                break;
            case FrameType.Buckets:
                if (!comparison.OnBuckets(ref reader, exchange))
                {
                    repair.OpenStream(exchange.From);
                }

                break;
            case FrameType.Heads:
                comparison.OnHeads(ref reader, exchange);
                break;
            case FrameType.MemberHeads:
                comparison.OnMemberHeads(ref reader, exchange);
                break;
            case FrameType.MemberRequest:
                comparison.OnMemberRequest(ref reader, exchange);
                break;
            case FrameType.DeltaRequest:
                comparison.OnDeltaRequest(ref reader, exchange);
                break;
            case FrameType.StreamHint:
                if (!exchange.IsStream)
                {
                    repair.OpenStream(exchange.From);
                }

                break;
            default:
                Unknown++;
                break;
        }
    }

    private void OnMember(ref MessagePackReader reader, Exchange exchange)
    {
        int extra = reader.BeginArray(2);
        Member member = MemberCodec.Read(ref reader);
        NodeId? accuser = Frames.ReadOptionalId(ref reader);
        ImmutableArray<NodeId> witnesses = [];
        if (extra > 0)
        {
            witnesses = ReadWitnesses(ref reader);
            extra--;
        }

        reader.EndArray(extra);
        roster.Merge(member, accuser is { } id ? new Accusation(id, witnesses) : null, exchange.From, exchange.Source);
        if (roster.Refutation(member) is { } self)
        {
            // Who buried us counts us among nobody it tells or is told by; without this word it would not hear the answer.
            exchange.Reply.Add(Frames.Member(self, null));
        }
    }

    private static ImmutableArray<NodeId> ReadWitnesses(ref MessagePackReader reader)
    {
        int count = reader.ReadArrayHeader(Accusation.MaxWitnesses);
        ImmutableArray<NodeId>.Builder witnesses = ImmutableArray.CreateBuilder<NodeId>(count);
        for (int i = 0; i < count; i++)
        {
            witnesses.Add(reader.ReadId());
        }

        return witnesses.MoveToImmutable();
    }
}
