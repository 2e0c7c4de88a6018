using Kcore.Raft;

namespace Kcore.Simulation.Raft;

// Between the members.
internal sealed partial class SimulatedGroup
{
    private readonly HashSet<(int From, int To)> _cut = [];

    public int LossPerMille { get; set; }

    public int DoublesPerMille { get; set; }

    /// <summary>Messages in a thousand that arrive up to three seconds late, in whatever world there is then.</summary>
    public int StragglersPerMille { get; set; }

    /// <summary>Slowest ordinary delivery, in microseconds.</summary>
    public int NetworkMicrosMax { get; set; } = 1500;

    /// <summary>Messages in a thousand of which a copy of another epoch and a later term, or a stump, arrives as well.</summary>
    public int ForeignPerMille { get; set; }

    public bool IsCut(int from, int to) => _cut.Contains((from, to));

    public void Cut(int from, int to) => _cut.Add((from, to));

    public void HealNetwork() => _cut.Clear();

    /// <summary>Something besides Raft's messages goes from one host to another, if it can.</summary>
    public void Hop(SimulatedMember from, SimulatedMember to, Action<MemberLife> arrive)
    {
        if (Random.Next(1000) < LossPerMille || IsCut(from.Number, to.Number))
        {
            return;
        }

        Clock.After(50 + Random.Next(NetworkMicrosMax), () =>
        {
            if (to.Life is { } life)
            {
                On(to, life, () => arrive(life));
            }
        });
    }

    private void Send(SimulatedMember from, RaftMessage message)
    {
        SimulatedMember? to = Array.Find(Members, member => member.NodeUid == message.To.NodeUid);
        if (to is null || IsCut(from.Number, to.Number) || Random.Next(1000) < LossPerMille)
        {
            return;
        }

        byte[] bytes = RaftMessageCodec.Encode(message);
        if (Random.Next(1000) < DoublesPerMille)
        {
            Clock.After(Delay(), () => Deliver(from, to, bytes));
        }

        if (Random.Next(1000) < ForeignPerMille)
        {
            var foreign = RaftMessageCodec.Encode(message with { Group = message.Group with { Epoch = 2 }, Term = message.Term + 1000 });
            Clock.After(Delay(), () => Deliver(from, to, foreign));
            Clock.After(Delay(), () => Deliver(from, to, bytes[..Random.Next(bytes.Length)]));
        }

        Clock.After(Delay(), () => Deliver(from, to, bytes));
    }

    private long Delay() =>
        50 + (Random.Next(1000) < StragglersPerMille ? Random.Next(3_000_000) : Random.Next(NetworkMicrosMax));

    private void Deliver(SimulatedMember from, SimulatedMember to, byte[] bytes)
    {
        // A cut also stops what is under way.
        if (to.Life is { } life
            && !IsCut(from.Number, to.Number)
            && RaftMessageCodec.TryDecode(bytes, out RaftMessage? message))
        {
            On(to, life, () => life.Node.Step(message));
        }
    }
}
