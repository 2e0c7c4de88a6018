using System.Net;
using System.Text;
using Kcore.Gossip.Wire.Sealing;

namespace Kcore.Gossip.Tests.Wire.Sealing;

/// <summary>Channels of whole nodes against each other, with a recorder on the wire.</summary>
public sealed class SealedChannelTests
{
    private static readonly ClusterScope Scope = new(77, 1);
    private static readonly byte[] Text = [.. Enumerable.Range(0, 100).Select(i => (byte)i)];

    private readonly List<(byte[] Datagram, IPEndPoint From, IPEndPoint To)> _wire = [];
    private TimeSpan _now = TimeSpan.FromSeconds(100);

    [Fact]
    public void The_first_message_arrives_after_one_question_and_all_later_ones_at_once()
    {
        Party a = New(1), b = New(2);
        Send(a, b, "one");
        Run(a, b);
        Send(b, a, "two");
        Run(a, b);
        Send(a, b, "three");
        Run(a, b);

        Assert.Equal(["one", "three"], b.Got);
        Assert.Equal(["two"], a.Got);

        // Message, challenge and answer; what follows is one datagram a message, for the challenge proved b as well.
        Assert.Equal(5, _wire.Count);
    }

    [Fact]
    public void A_greeting_to_an_address_arrives_as_well()
    {
        Party a = New(1), b = New(2);
        Put(a, b.Endpoint, null, "hello");
        Run(a, b);

        Assert.Equal(["hello"], b.Got);
    }

    [Fact]
    public void A_recording_of_everything_changes_nothing_in_a_receiver_that_restarted()
    {
        Party a = New(1), b = New(2), c = New(3);
        for (int i = 0; i < 50; i++)
        {
            Send(a, b, $"ab{i}");
            Send(b, a, $"ba{i}");
            Send(a, c, $"ac{i}");
            Run(a, b, c);
        }

        (byte[] Datagram, IPEndPoint From, IPEndPoint To)[] recorded = [.. _wire];
        Assert.Equal(50, b.Got.Count);
        foreach (TimeSpan later in (TimeSpan[])[TimeSpan.Zero, TimeSpan.FromSeconds(5), TimeSpan.FromHours(1)])
        {
            _now += later;
            Party fresh = New(2, nonce: 99 + (uint)later.TotalSeconds);
            int before = fresh.Got.Count;
            int sizeIn = 0, sizeOut = 0;
            foreach ((byte[] datagram, IPEndPoint from, _) in recorded)
            {
                // From its sender's address and from somebody else's.
                foreach (IPEndPoint source in (IPEndPoint[])[from, new IPEndPoint(IPAddress.Parse("10.9.9.9"), 9)])
                {
                    sizeIn += datagram.Length;
                    sizeOut += fresh.Receive(datagram, source, _now).Reply.Length;
                }
            }

            Assert.Equal(before, fresh.Got.Count);
            Assert.Equal(0, fresh.Channel.SessionCount);
            Assert.True(sizeOut <= sizeIn, $"{sizeOut} bytes for {sizeIn}");
        }
    }

    [Fact]
    public void A_recording_changes_nothing_after_the_senders_have_proved_themselves_again()
    {
        Party a = New(1), b = New(2);
        for (int i = 0; i < 20; i++)
        {
            Send(a, b, $"{i}");
            Run(a, b);
        }

        (byte[] Datagram, IPEndPoint From, IPEndPoint To)[] recorded = [.. _wire];
        Party fresh = New(2, nonce: 5);
        Send(a, fresh, "again");
        Run(a, fresh);
        Assert.Equal(["again"], fresh.Got);
        foreach ((byte[] datagram, IPEndPoint from, _) in recorded)
        {
            fresh.Receive(datagram, from, _now);
            a.Receive(datagram, from, _now);
        }

        Assert.Equal(["again"], fresh.Got);
        Assert.Empty(a.Got);
    }

    [Fact]
    public void A_message_to_one_node_is_nothing_to_another()
    {
        Party a = New(1), b = New(2), c = New(3);
        Send(a, c, "known");
        Send(a, b, "known");
        Run(a, b, c);
        Send(a, b, "for b");
        byte[] datagram = _wire[^1].Datagram;
        Received received = c.Receive(datagram, a.Endpoint, _now).Received;

        Assert.Equal(DropReason.NotAuthentic, received.Reason);
        Assert.Equal(["known"], c.Got);
    }

    [Fact]
    public void A_challenge_makes_nobody_speak_who_has_not_just_spoken()
    {
        Party a = New(1), b = New(2);
        Send(a, b, "one");
        byte[] message = _wire[0].Datagram;
        byte[] challenge = b.Receive(message, a.Endpoint, _now).Reply;
        Assert.NotEmpty(challenge);
        Assert.True(challenge.Length <= message.Length);

        // Too late; then in time, once, and not again.
        Assert.Empty(a.Receive(challenge, b.Endpoint, _now + SealedChannel.AnswerWithin + TimeSpan.FromMilliseconds(1)).Reply);
        byte[] second = b.Receive(message, a.Endpoint, _now).Reply;
        (Received received, byte[] answer) = a.Receive(second, new IPEndPoint(IPAddress.Parse("10.9.9.9"), 9), _now);
        Assert.NotEmpty(answer);
        Assert.Equal(b.Endpoint, received.ReplyTo);
        Assert.Empty(a.Receive(second, b.Endpoint, _now).Reply);
        Assert.Empty(a.Receive(challenge, b.Endpoint, _now).Reply);
    }

    [Fact]
    public void A_challenge_for_an_earlier_boot_is_not_taken_for_one_of_this()
    {
        Party a = New(1), b = New(2);
        Send(a, b, "one");
        byte[] challenge = b.Receive(_wire[0].Datagram, a.Endpoint, _now).Reply;
        Party restarted = New(1, nonce: 4711);
        Send(restarted, b, "one of the new boot");

        Assert.Empty(restarted.Receive(challenge, b.Endpoint, _now).Reply);
        Assert.Equal(0, restarted.Channel.SessionCount);
    }

    [Fact]
    public void An_answer_with_an_old_cookie_is_asked_again()
    {
        Party a = New(1), b = New(2);
        Send(a, b, "one");
        byte[] challenge = b.Receive(_wire[0].Datagram, a.Endpoint, _now).Reply;
        byte[] answer = a.Receive(challenge, b.Endpoint, _now).Reply;

        // The receiver restarts in between: its cookies do, too.
        Party restarted = New(2, nonce: 3);
        byte[] again = restarted.Receive(answer, a.Endpoint, _now).Reply;
        Assert.Empty(restarted.Got);
        byte[] second = a.Receive(again, restarted.Endpoint, _now).Reply;
        restarted.Receive(second, a.Endpoint, _now);
        Assert.Equal(["one"], restarted.Got);
    }

    [Fact]
    public void A_short_datagram_is_not_challenged_because_the_challenge_would_be_longer()
    {
        Party a = New(1), b = New(2);
        byte[] buffer = new byte[200];
        int length = a.Channel.Seal(new byte[10], b.Uid, b.Endpoint, a.Key, _now, buffer);

        Assert.Empty(b.Receive(buffer[..length], a.Endpoint, _now).Reply);
    }

    [Fact]
    public void A_flood_of_recordings_is_rationed_and_leaves_nothing_behind()
    {
        Party a = New(1);
        Party b = New(2, limits: new OpenerLimits { TrialBurst = 100, TrialsPerSecond = 10 });
        Send(a, b, "one");
        byte[] message = _wire[0].Datagram;
        int replies = 0;
        for (int i = 0; i < 10_000; i++)
        {
            replies += b.Receive(message, a.Endpoint, _now + TimeSpan.FromMilliseconds(i)).Reply.Length > 0 ? 1 : 0;
        }

        Assert.InRange(replies, 198, 201);
        Assert.Equal(0, b.Channel.SessionCount);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Under_loss_repetition_restart_and_a_recorder_no_message_arrives_twice(int seed)
    {
        var random = new Random(seed);
        Party[] parties = [New(1), New(2), New(3)];
        HashSet<string> sent = [];
        List<string> got = [];
        for (int step = 0; step < 4_000; step++)
        {
            _now += TimeSpan.FromMilliseconds(random.Next(20));
            int who = random.Next(3);
            if (random.Next(200) == 0)
            {
                got.AddRange(parties[who].Got);
                parties[who] = New((uint)who + 1, nonce: (uint)(1000 + step));
            }

            string text = $"{step}";
            sent.Add(text);
            int first = _wire.Count;
            Send(parties[who], parties[(who + 1 + random.Next(2)) % 3], text);
            for (int at = first; at < _wire.Count; at++)
            {
                if (random.Next(5) != 0)
                {
                    Deliver(at);
                }
            }

            for (int replay = random.Next(4); replay > 0; replay--)
            {
                Deliver(random.Next(_wire.Count));
            }
        }

        got.AddRange(parties.SelectMany(p => p.Got));
        Assert.Equal(got.Count, got.Distinct(StringComparer.Ordinal).Count());
        Assert.Subset(sent, new HashSet<string>(got, StringComparer.Ordinal));
        Assert.True(got.Count > 2_000, $"seed {seed}: only {got.Count} arrived");

        void Deliver(int at)
        {
            (byte[] datagram, IPEndPoint from, IPEndPoint to) = _wire[at];
            (Received received, byte[] reply) = parties[to.Port - 1].Receive(datagram, from, _now);
            if (reply.Length > 0)
            {
                _wire.Add((reply, to, received.ReplyTo!));
            }
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void No_bytes_whatever_make_it_fail_or_speak(int seed)
    {
        var random = new Random(seed);
        Party a = New(1), b = New(2, limits: new OpenerLimits { TrialBurst = int.MaxValue });
        Send(a, b, "one");
        Run(a, b);
        byte[][] genuine = [.. _wire.Select(w => w.Datagram)];
        int before = b.Got.Count;
        for (int i = 0; i < 20_000; i++)
        {
            byte[] bytes = [.. genuine[random.Next(genuine.Length)]];
            for (int changes = 1 + random.Next(4); changes > 0; changes--)
            {
                bytes[random.Next(bytes.Length)] ^= (byte)(1 + random.Next(255));
            }

            byte[] cut = random.Next(4) == 0 ? bytes[..random.Next(bytes.Length)] : bytes;
            if (!genuine.Any(g => g.AsSpan().SequenceEqual(cut)))
            {
                Assert.Empty(b.Receive(cut, a.Endpoint, _now).Reply);
            }
        }

        Assert.Equal(before, b.Got.Count);
    }

    private static Party New(uint uid, uint nonce = 0, OpenerLimits? limits = null) => new(uid, nonce, limits);

    private void Send(Party from, Party to, string text) => Put(from, to.Endpoint, to.Uid, text);

    private void Put(Party from, IPEndPoint to, UInt128? receiver, string text)
    {
        byte[] buffer = new byte[2_000];
        byte[] payload = [.. Encoding.UTF8.GetBytes(text), 0, .. Text];
        int length = from.Channel.Seal(payload, receiver, to, from.Key, _now, buffer);
        Assert.True(length > 0);
        _wire.Add((buffer[..length], from.Endpoint, to));
    }

    /// <summary>Delivers everything that was put on the wire since the last call, and what it causes.</summary>
    private void Run(params Party[] parties)
    {
        while (_delivered < _wire.Count)
        {
            (byte[] datagram, IPEndPoint from, IPEndPoint to) = _wire[_delivered++];
            (Received received, byte[] reply) = parties.Single(p => p.Endpoint.Equals(to)).Receive(datagram, from, _now);
            if (reply.Length > 0)
            {
                _wire.Add((reply, to, received.ReplyTo!));
            }
        }
    }

    private int _delivered;

    private sealed class Party
    {
        private readonly byte[] _plaintext = new byte[DatagramHeader.MaxPlaintext];
        private readonly byte[] _reply = new byte[DatagramHeader.MaxDatagram];

        public Party(uint uid, uint nonce, OpenerLimits? limits)
        {
            Uid = uid;
            Endpoint = new IPEndPoint(IPAddress.Parse($"10.0.0.{uid}"), (int)uid);
            var ring = new KeyRing(new ClusterSecret([.. Enumerable.Repeat((byte)7, 32)]));
            Key = ring.Active.KeyId;
            byte[] cookieKey = new byte[32];
            new Random((int)((uid * 100_000) + nonce)).NextBytes(cookieKey);
            Channel = new SealedChannel(uid, new BootId(1 + nonce, nonce), ring, Scope, cookieKey, limits);
        }

        public UInt128 Uid { get; }

        public uint Key { get; }

        public IPEndPoint Endpoint { get; }

        public SealedChannel Channel { get; }

        public List<string> Got { get; } = [];

        public (Received Received, byte[] Reply) Receive(byte[] datagram, IPEndPoint from, TimeSpan now)
        {
            Received received = Channel.Receive(datagram, from, _plaintext, now, _reply);
            if (received.Reason == DropReason.None)
            {
                string text = Encoding.UTF8.GetString(_plaintext, received.Start, received.Length);
                Got.Add(text[..text.IndexOf('\0')]);
            }

            return (received, _reply[..received.ReplyLength]);
        }
    }
}
