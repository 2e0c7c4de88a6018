using System.Security.Cryptography;
using Kcore.Gossip.Wire.Sealing;

namespace Kcore.Gossip.Tests.Wire.Sealing;

public sealed class SealingTests
{
    private static readonly UInt128 Sender = UInt128.Parse("00112233445566778899AABBCCDDEEFF", System.Globalization.NumberStyles.HexNumber);
    private static readonly ClusterScope Scope = new(new UInt128(0x0102030405060708, 0x090A0B0C0D0E0F10), 1);
    private static readonly BootId Boot = new(7, 0xCAFEBABE);
    private static readonly UInt128 Receiver = 0xB0B;
    private readonly byte[] _plaintext = new byte[DatagramHeader.MaxPlaintext];

    [Fact]
    public void The_header_stands_byte_for_byte_as_specified()
    {
        using ClusterSecret secret = Secret(1);
        byte[] datagram = Seal(new DatagramSealer(Sender, Boot, new KeyRing(secret), Scope), "hello"u8);

        Assert.Equal(DatagramHeader.Overhead + 5, datagram.Length);
        Assert.Equal(
            "4B01" + secret.KeyId.ToString("X8") + "00112233445566778899AABBCCDDEEFF" + "00000007" + "CAFEBABE" + "0000000000000001",
            Convert.ToHexString(datagram.AsSpan(0, DatagramHeader.Size)));
    }

    [Fact]
    public void Key_nonce_and_authenticated_data_are_those_of_the_specification()
    {
        // Built here from the specification, with the library's own decryption, to check the opener's short cut.
        byte[] datagram = Seal(Sealer(1), "hello"u8);
        byte[] info =
        [
            .. "kcore-gossip-v1"u8, .. Convert.FromHexString("0102030405060708090A0B0C0D0E0F10"), 0, 0, 0, 1,
            .. datagram.AsSpan(2, 4), .. datagram.AsSpan(6, 16), .. datagram.AsSpan(22, 8),
        ];
        byte[] key = HKDF.DeriveKey(HashAlgorithmName.SHA256, SecretBytes(1), 32, salt: [], info);
        using var cipher = new AesGcm(key, 16);
        byte[] plaintext = new byte[5];
        cipher.Decrypt(
            [0, 0, 0, 0, .. datagram.AsSpan(30, 8)],
            datagram.AsSpan(38, 5),
            datagram.AsSpan(43, 16),
            plaintext,
            [.. datagram.AsSpan(0, 38), .. Convert.FromHexString("0102030405060708090A0B0C0D0E0F10"), 0, 0, 0, 1]);

        Assert.Equal("hello"u8, plaintext);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(1_400)]
    [InlineData(DatagramHeader.MaxPlaintext)]
    public void What_was_sealed_is_opened_as_it_was(int length)
    {
        byte[] message = new byte[length];
        new Random(length).NextBytes(message);
        DatagramOpener opener = Opener(1);

        Assert.Equal(DropReason.Unproven, opener.TryOpen(Seal(Sealer(1), message), _plaintext, TimeSpan.Zero, out OpenedDatagram opened));
        Assert.Equal(new OpenedDatagram(Sender, Boot, Secret(1).KeyId, 1, DatagramKind.Greeting, length), opened);
        Assert.Equal(message, _plaintext.AsSpan(0, length).ToArray());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_change_of_any_byte_is_refused_and_leaves_no_plaintext(bool sessionKnown)
    {
        DatagramSealer sealer = Sealer(1);
        DatagramOpener opener = Opener(1, new OpenerLimits { TrialBurst = 10_000 });
        if (sessionKnown)
        {
            Begin(opener, sealer);
        }

        byte[] datagram = Seal(sealer, "the message"u8);
        for (int i = 0; i < datagram.Length; i++)
        {
            for (int bit = 0; bit < 8; bit++)
            {
                byte[] changed = [.. datagram];
                changed[i] ^= (byte)(1 << bit);
                Assert.False(Open(opener, changed) is DropReason.None or DropReason.Unproven);
                Assert.False(_plaintext.AsSpan(0, 11).SequenceEqual("the message"u8));
            }
        }

        Assert.Equal(sessionKnown ? 1 : 0, opener.SessionCount);
        Assert.Equal(sessionKnown ? DropReason.None : DropReason.Unproven, Open(opener, datagram));
    }

    [Fact]
    public void Every_truncation_is_refused()
    {
        DatagramOpener opener = Opener(1);
        byte[] datagram = Seal(Sealer(1), "the message"u8);
        for (int length = 0; length < datagram.Length; length++)
        {
            Assert.False(Open(opener, datagram.AsSpan(0, length)) is DropReason.None or DropReason.Unproven);
        }

        Assert.Equal(DropReason.BadLength, Open(opener, new byte[DatagramHeader.MaxDatagram + 1]));
    }

    [Fact]
    public void A_datagram_opens_once()
    {
        DatagramSealer sealer = Sealer(1);
        DatagramOpener opener = Opener(1);
        Begin(opener, sealer);
        byte[] first = Seal(sealer, "a"u8);
        byte[] second = Seal(sealer, "b"u8);

        Assert.Equal(DropReason.None, Open(opener, first));
        Assert.Equal(DropReason.Replayed, Open(opener, first));
        Assert.Equal(DropReason.None, Open(opener, second));
        Assert.Equal(DropReason.Replayed, Open(opener, second));
        Assert.Equal(DropReason.Replayed, Open(opener, first));
    }

    [Fact]
    public void Disorder_is_borne_inside_the_window_and_refused_beyond()
    {
        DatagramSealer sealer = Sealer(1);
        DatagramOpener opener = Opener(1);
        Begin(opener, sealer);
        byte[][] datagrams = [.. Enumerable.Range(0, 2_049).Select(_ => Seal(sealer, "x"u8))];

        Assert.Equal(DropReason.None, Open(opener, datagrams[2_048]));
        Assert.Equal(DropReason.None, Open(opener, datagrams[1]));
        Assert.Equal(DropReason.TooOld, Open(opener, datagrams[0]));
    }

    [Fact]
    public void A_foreign_cluster_or_epoch_never_opens()
    {
        byte[] datagram = Seal(Sealer(1), "x"u8);
        DatagramOpener other = Opener(1, scope: Scope with { ClusterId = 99 });
        DatagramOpener recovered = Opener(1, scope: Scope with { ClusterEpoch = 2 });
        DatagramOpener stranger = Opener(2);

        Assert.Equal(DropReason.NotAuthentic, Open(other, datagram));
        Assert.Equal(DropReason.NotAuthentic, Open(recovered, datagram));
        Assert.Equal(DropReason.UnknownKey, Open(stranger, datagram));
    }

    [Fact]
    public void A_datagram_for_another_node_does_not_open_and_a_greeting_opens_for_all()
    {
        DatagramSealer sealer = Sealer(1);
        DatagramOpener opener = Opener(1);
        Begin(opener, sealer);

        Assert.Equal(DropReason.None, Open(opener, Seal(sealer, "x"u8, DatagramKind.Message, Receiver)));
        Assert.Equal(DropReason.NotAuthentic, Open(opener, Seal(sealer, "x"u8, DatagramKind.Message, Receiver + 1)));
        Assert.Equal(DropReason.None, Open(opener, Seal(sealer, "x"u8)));
    }

    [Fact]
    public void Kind_and_receiver_are_vouched_for()
    {
        DatagramSealer sealer = Sealer(1);
        DatagramOpener opener = Opener(1);
        Begin(opener, sealer);
        foreach (byte kind in (byte[])[0x01, 0x11, 0x31, 0x51])
        {
            byte[] datagram = Seal(sealer, "x"u8, DatagramKind.Message, Receiver);
            datagram[1] = kind;
            Assert.Equal(kind == 0x11 ? DropReason.None : DropReason.NotAuthentic, Open(opener, datagram));
        }

        byte[] unknown = Seal(sealer, "x"u8);
        unknown[1] = 0x21;
        Assert.Equal(DropReason.UnknownVersion, Open(opener, unknown));
    }

    [Fact]
    public void After_a_change_of_cluster_only_the_new_one_opens_and_the_counter_goes_on()
    {
        DatagramSealer sealer = Sealer(1);
        DatagramOpener opener = Opener(1);
        byte[] old = Seal(sealer, "x"u8);
        ClusterScope next = Scope with { ClusterId = 99 };
        sealer.ChangeScope(next);
        opener.ChangeScope(next);

        Assert.Equal(DropReason.NotAuthentic, Open(opener, old));
        Assert.Equal(DropReason.Unproven, opener.TryOpen(Seal(sealer, "y"u8), _plaintext, TimeSpan.Zero, out OpenedDatagram opened));
        Assert.Equal(2UL, opened.Counter);
    }

    [Fact]
    public void A_key_is_rotated_without_losing_a_datagram()
    {
        var ringA = new KeyRing(Secret(1));
        var ringB = new KeyRing(Secret(1));
        var sealer = new DatagramSealer(Sender, Boot, ringA, Scope);
        var opener = new DatagramOpener(Receiver, ringB, Scope);
        uint oldId = Secret(1).KeyId;
        uint newId = Secret(2).KeyId;

        Begin(opener, sealer);
        Assert.True(ringB.TryAdd(Secret(2)));
        Assert.Equal(DropReason.None, Open(opener, Seal(sealer, "2"u8)));
        Assert.True(ringA.TryAdd(Secret(2)));
        byte[] late = Seal(sealer, "late"u8);
        Assert.True(ringA.Use(newId));
        Assert.Equal(DropReason.None, Open(opener, Seal(sealer, "3"u8)));
        Assert.Equal(newId, opener.LatestKeyOf(Sender));
        Assert.Equal(DropReason.None, Open(opener, late));
        Assert.Equal(DropReason.Replayed, Open(opener, late));
        Assert.True(ringB.Use(newId));
        byte[] tooLate = Seal(new DatagramSealer(Sender, new BootId(8, 1), new KeyRing(Secret(1)), Scope), "x"u8);

        // One boot is one session, whatever it seals with.
        Assert.Equal(1, opener.SessionCount);
        Assert.True(ringB.Remove(oldId));

        Assert.Equal(DropReason.UnknownKey, Open(opener, tooLate));
        Assert.Equal(DropReason.None, Open(opener, Seal(sealer, "4"u8)));
        Assert.Equal(1, opener.SessionCount);
    }

    [Fact]
    public void A_replay_under_the_other_key_of_a_rotation_is_still_a_replay()
    {
        // One counter for all keys: what was opened under one is used up under every one.
        var ring = new KeyRing(Secret(1));
        ring.TryAdd(Secret(2));
        var sealer = new DatagramSealer(Sender, Boot, ring, Scope, lastCounter: 10);
        var twin = new DatagramSealer(Sender, Boot, ring, Scope, lastCounter: 11);
        DatagramOpener opener = new(Receiver, ring, Scope);
        Begin(opener, sealer);
        Assert.Equal(DropReason.None, Open(opener, Seal(sealer, "x"u8)));
        byte[] buffer = new byte[100];
        Assert.True(twin.TrySeal("x"u8, DatagramKind.Greeting, 0, Secret(2).KeyId, buffer, out int written));

        Assert.Equal(DropReason.Replayed, Open(opener, buffer.AsSpan(0, written)));
    }

    [Fact]
    public void Whom_a_key_is_chosen_for_decides_which()
    {
        var ring = new KeyRing(Secret(1));
        Assert.Equal((uint[])[Secret(1).KeyId], ring.SendKeys(_ => false).AsEnumerable());
        ring.Replace([Secret(1), Secret(2), Secret(3)], Secret(2).KeyId);

        Assert.Equal((uint[])[Secret(2).KeyId], ring.SendKeys(_ => true).AsEnumerable());
        Assert.Equal((uint[])[Secret(1).KeyId], ring.SendKeys(id => id == Secret(1).KeyId).AsEnumerable());

        // What is only staged is never sealed with; who is unknown gets one of each.
        Assert.Equal((uint[])[Secret(2).KeyId, Secret(1).KeyId], ring.SendKeys(id => id == Secret(3).KeyId).AsEnumerable());
    }

    [Fact]
    public void The_ring_is_bounded_and_keeps_the_key_it_seals_with()
    {
        var ring = new KeyRing(Secret(1));
        Assert.False(ring.TryAdd(Secret(1)));
        Assert.True(ring.TryAdd(Secret(2)) && ring.TryAdd(Secret(3)) && ring.TryAdd(Secret(4)));
        Assert.False(ring.TryAdd(Secret(5)));
        Assert.False(ring.Remove(Secret(1).KeyId));
        Assert.False(ring.Use(Secret(5).KeyId));
        Assert.Equal(4, ring.KeyIds.Count);
    }

    [Fact]
    public void A_flood_of_made_up_senders_leaves_nothing_behind_and_is_rationed()
    {
        var limits = new OpenerLimits { TrialBurst = 100, TrialsPerSecond = 10 };
        DatagramOpener opener = Opener(1, limits);
        var random = new Random(5);
        byte[] garbage = Seal(Sealer(1), new byte[1_000]);
        Dictionary<DropReason, int> reasons = [];
        for (int i = 0; i < 10_000; i++)
        {
            random.NextBytes(garbage.AsSpan(6));
            DropReason reason = opener.TryOpen(garbage, _plaintext, TimeSpan.FromMilliseconds(i), out _);
            reasons[reason] = reasons.GetValueOrDefault(reason) + 1;
        }

        // A hundred at once and ten in each of the ten seconds were tried.
        Assert.Equal(0, opener.SessionCount);
        Assert.InRange(reasons[DropReason.NotAuthentic], 198, 200);
        Assert.Equal(10_000, reasons[DropReason.NotAuthentic] + reasons[DropReason.Throttled]);
    }

    [Fact]
    public void A_flood_does_not_touch_sessions_that_are_known()
    {
        DatagramOpener opener = Opener(1, new OpenerLimits { TrialBurst = 2, TrialsPerSecond = 1 });
        DatagramSealer sealer = Sealer(1);
        Begin(opener, sealer);
        Assert.Equal(DropReason.None, Open(opener, Seal(sealer, "x"u8)));
        byte[] garbage = Seal(Sealer(1), "x"u8);
        garbage[6] ^= 1;

        Assert.Equal(DropReason.Throttled, Open(opener, garbage));
        Assert.Equal(DropReason.None, Open(opener, Seal(sealer, "x"u8)));
    }

    [Fact]
    public void Sessions_are_bounded_the_idle_go_first_and_one_that_went_lets_no_recording_in()
    {
        DatagramOpener opener = Opener(1, new OpenerLimits { Sessions = 3 });
        DatagramSealer[] sealers =
            [.. Enumerable.Range(1, 4).Select(i => new DatagramSealer((UInt128)i, Boot, new KeyRing(Secret(1)), Scope))];
        Begin(opener, sealers[0]);
        Begin(opener, sealers[1]);
        Begin(opener, sealers[2]);
        byte[] ofOne = Seal(sealers[0], "x"u8);
        byte[] ofTwo = Seal(sealers[1], "x"u8);
        byte[] unseenOfTwo = Seal(sealers[1], "x"u8);
        Assert.Equal(DropReason.None, Open(opener, ofTwo));
        Assert.Equal(DropReason.None, Open(opener, Seal(sealers[2], "x"u8)));
        Assert.Equal(DropReason.None, Open(opener, ofOne));
        Begin(opener, sealers[3]);

        Assert.Equal(3, opener.SessionCount);
        Assert.Equal(DropReason.Replayed, Open(opener, ofOne));
        Assert.Equal(DropReason.TooOld, Open(opener, ofTwo));

        // Never opened, but it proves nothing either.
        Assert.Equal(DropReason.Unproven, Open(opener, unseenOfTwo));
        Begin(opener, sealers[1]);
        Assert.Equal(DropReason.Replayed, Open(opener, unseenOfTwo));
        Assert.Equal(DropReason.None, Open(opener, Seal(sealers[1], "x"u8)));
    }

    [Fact]
    public void An_admission_that_was_recorded_before_its_session_was_given_up_is_worth_nothing()
    {
        DatagramOpener opener = Opener(1, new OpenerLimits { Sessions = 1 });
        DatagramSealer sealer = Sealer(1);
        Assert.Equal(DropReason.Unproven, opener.TryOpen(Seal(sealer, "x"u8), _plaintext, TimeSpan.Zero, out OpenedDatagram recorded));
        Assert.True(opener.Admit(recorded));
        Begin(opener, new DatagramSealer(9, Boot, new KeyRing(Secret(1)), Scope));

        Assert.False(opener.Admit(recorded));
    }

    [Fact]
    public void A_restart_closes_the_sessions_of_the_boot_before()
    {
        DatagramOpener opener = Opener(1);
        DatagramSealer before = Sealer(1);
        Begin(opener, before);
        var after = new DatagramSealer(Sender, new BootId(8, 1), new KeyRing(Secret(1)), Scope);

        // A recording of a later boot could not exist, but nothing is closed before its sender has answered.
        Assert.Equal(DropReason.Unproven, Open(opener, Seal(after, "x"u8)));
        Assert.Equal(DropReason.None, Open(opener, Seal(before, "x"u8)));
        Begin(opener, after);
        Assert.Equal(DropReason.OldBoot, Open(opener, Seal(before, "x"u8)));
        Assert.Equal(
            DropReason.OldBoot,
            Open(opener, Seal(new DatagramSealer(Sender, new BootId(6, 1), new KeyRing(Secret(1)), Scope), "x"u8)));
        Assert.Equal(DropReason.None, Open(opener, Seal(after, "x"u8)));
    }

    [Fact]
    public void A_forged_newer_boot_does_not_close_anything()
    {
        DatagramOpener opener = Opener(1);
        DatagramSealer sealer = Sealer(1);
        Begin(opener, sealer);
        byte[] forged = Seal(sealer, "x"u8);
        forged[22] = 0xFF;

        Assert.Equal(DropReason.NotAuthentic, Open(opener, forged));
        Assert.Equal(DropReason.None, Open(opener, Seal(sealer, "x"u8)));
    }

    [Fact]
    public void A_counter_that_ran_out_seals_nothing_more()
    {
        var sealer = new DatagramSealer(Sender, Boot, new KeyRing(Secret(1)), Scope, ulong.MaxValue - 1);
        byte[] buffer = new byte[100];

        Assert.True(sealer.TrySeal("x"u8, buffer, out int written));
        Assert.Equal(DropReason.Unproven, Open(Opener(1), buffer.AsSpan(0, written)));
        Assert.False(sealer.TrySeal("x"u8, buffer, out written));
        Assert.Equal(0, written);
    }

    [Fact]
    public void Opening_and_sealing_in_a_known_session_allocate_nothing()
    {
        DatagramSealer sealer = Sealer(1);
        DatagramOpener opener = Opener(1);
        Begin(opener, sealer);
        byte[] buffer = new byte[1_400];
        byte[] message = new byte[1_200];
        int bad = 0;
        for (int i = 0; i < 300; i++)
        {
            sealer.TrySeal(message, buffer, out int n);
            bad += opener.TryOpen(buffer.AsSpan(0, n), _plaintext, TimeSpan.Zero, out _) == DropReason.None ? 0 : 1;
        }

        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 1_000; i++)
        {
            sealer.TrySeal(message, buffer, out int n);
            bad += opener.TryOpen(buffer.AsSpan(0, n), _plaintext, TimeSpan.Zero, out _) == DropReason.None ? 0 : 1;
        }

        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        Assert.Equal(0, bad);
        Assert.Equal(0, allocated);
    }

    [Fact]
    public void A_disposed_secret_is_gone_and_its_name_tells_nothing()
    {
        ClusterSecret secret = Secret(1);
        string printed = secret.ToString();
        string fingerprint = secret.Fingerprint();
        secret.Dispose();

        Assert.Throws<ObjectDisposedException>(() => secret.CopyTo(new byte[32]));
        Assert.Matches("^[0-9a-f]{16}$", fingerprint);
        Assert.NotEqual(fingerprint, Secret(2).Fingerprint());
        Assert.DoesNotContain(Convert.ToHexString(SecretBytes(1))[..8], printed, StringComparison.OrdinalIgnoreCase);
        Assert.Throws<ArgumentException>(() => new ClusterSecret(new byte[31]));
    }

    private static byte[] SecretBytes(byte seed) => [.. Enumerable.Range(0, 32).Select(i => (byte)(seed * 31 + i))];

    private static ClusterSecret Secret(byte seed) => new(SecretBytes(seed));

    private static DatagramSealer Sealer(byte seed) => new(Sender, Boot, new KeyRing(Secret(seed)), Scope);

    private static DatagramOpener Opener(byte seed, OpenerLimits? limits = null, ClusterScope? scope = null) =>
        new(Receiver, new KeyRing(Secret(seed)), scope ?? Scope, limits);

    private static byte[] Seal(
        DatagramSealer sealer, ReadOnlySpan<byte> message, DatagramKind kind = DatagramKind.Greeting, UInt128 receiver = default)
    {
        byte[] datagram = new byte[message.Length + DatagramHeader.Overhead];
        Assert.True(sealer.TrySeal(message, kind, receiver, 0, datagram, out int written));
        Assert.Equal(datagram.Length, written);
        return datagram;
    }

    /// <summary>What a challenge and its answer come to.</summary>
    private void Begin(DatagramOpener opener, DatagramSealer sealer)
    {
        Assert.Equal(DropReason.Unproven, opener.TryOpen(Seal(sealer, "hello"u8), _plaintext, TimeSpan.Zero, out OpenedDatagram opened));
        Assert.True(opener.Admit(opened));
    }

    private DropReason Open(DatagramOpener opener, ReadOnlySpan<byte> datagram)
    {
        Array.Clear(_plaintext);
        return opener.TryOpen(datagram, _plaintext, TimeSpan.Zero, out _);
    }
}
