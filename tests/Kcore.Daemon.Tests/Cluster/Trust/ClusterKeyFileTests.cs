using System.Security.Cryptography;
using Kcore.Daemon.Cluster.Trust;
using Kcore.Gossip.Wire.Sealing;

namespace Kcore.Daemon.Tests.Cluster.Trust;

public sealed class ClusterKeyFileTests : IDisposable
{
    private const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private readonly string _directory = Directory.CreateTempSubdirectory("kcore-key-").FullName;

    private string KeyPath => Path.Combine(_directory, "cluster.key");

    [Fact]
    public void A_made_key_is_private_and_reads_back()
    {
        Assert.Null(ClusterKeyFile.Read(KeyPath));
        RingContent made = ClusterKeyFile.Create(KeyPath);
        RingContent read = ClusterKeyFile.Read(KeyPath)!;

        Assert.True(made.ActiveKey.Secret.HasSameBytes(read.ActiveKey.Secret));
        Assert.Equal(made.Holding, read.Holding);
        Assert.Equal(Private, File.GetUnixFileMode(KeyPath));
        Assert.Single(Directory.GetFiles(_directory));
        Assert.Matches("^[0-9a-f]{64}\n$", File.ReadAllText(KeyPath));
    }

    [Fact]
    public void Making_a_key_never_replaces_one()
    {
        RingContent made = ClusterKeyFile.Create(KeyPath);

        Assert.Throws<IOException>(() => ClusterKeyFile.Create(KeyPath));
        Assert.Equal(made.Holding, ClusterKeyFile.Read(KeyPath)!.Holding);
        Assert.Single(Directory.GetFiles(_directory));
    }

    [Fact]
    public void Writing_replaces_the_whole_key()
    {
        ClusterKeyFile.Create(KeyPath);
        using var other = new ClusterSecret(new byte[32]);
        ClusterKeyFile.Write(KeyPath, RingContent.Of(other));

        Assert.True(other.HasSameBytes(ClusterKeyFile.Read(KeyPath)!.ActiveKey.Secret));
        Assert.Equal(Private, File.GetUnixFileMode(KeyPath));
        Assert.Single(Directory.GetFiles(_directory));
    }

    [Fact]
    public void A_ring_in_the_middle_of_a_rotation_reads_back_whole()
    {
        DateTimeOffset since = DateTimeOffset.FromUnixTimeSeconds(1_763_737_200);
        RingContent ring = new(
            [
                new RingKey(0, Secret(1), RingKey.DefaultOverlap, null),
                new RingKey(1, Secret(2), TimeSpan.FromSeconds(90), since),
                new RingKey(2, Secret(3), RingKey.MaxOverlap, null),
            ],
            Secret(2).KeyId);
        ClusterKeyFile.Write(KeyPath, ring);
        RingContent read = ClusterKeyFile.Read(KeyPath)!;

        Assert.Equal(ring.Holding, read.Holding);
        Assert.Equal(ring.Keys.Select(k => (k.Generation, k.Overlap, k.ActiveSince)), read.Keys.Select(k => (k.Generation, k.Overlap, k.ActiveSince)));
        Assert.All(ring.Keys.Zip(read.Keys), p => Assert.True(p.First.Secret.HasSameBytes(p.Second.Secret)));
        Assert.Equal(["#", "retiring", "active", "staged"], File.ReadAllLines(KeyPath).Select(l => l.Split(' ')[0]));
        Assert.Equal(Private, File.GetUnixFileMode(KeyPath));
    }

    [Fact]
    public void A_single_key_that_came_from_a_rotation_keeps_its_number()
    {
        ClusterKeyFile.Write(KeyPath, new RingContent([new RingKey(3, Secret(1), RingKey.DefaultOverlap, null)], Secret(1).KeyId));

        Assert.Equal(3u, ClusterKeyFile.Read(KeyPath)!.ActiveKey.Generation);
    }

    [Theory]
    [InlineData("active 0 HEX 10 -\nactive 1 HEX2 10 -\n")]
    [InlineData("staged 0 HEX 10 -\nretiring 1 HEX2 10 -\n")]
    [InlineData("active 0 HEX 10 -\nstaged 1 HEX 10 -\n")]
    [InlineData("active 0 HEX 10\n")]
    [InlineData("active 0 HEX 10 - more\n")]
    [InlineData("active -1 HEX 10 -\n")]
    [InlineData("active 1048577 HEX 10 -\n")]
    [InlineData("active 0 HEX x -\n")]
    [InlineData("active 0 HEX 10 yesterday\n")]
    [InlineData("main 0 HEX 10 -\n")]
    [InlineData("active 0 abc 10 -\n")]
    [InlineData("# only a remark\n")]
    public void A_ring_that_cannot_be_is_refused(string content)
    {
        Store(content.Replace("HEX2", new string('2', 64), StringComparison.Ordinal).Replace("HEX", new string('1', 64), StringComparison.Ordinal));

        Assert.Throws<ClusterKeyFileException>(() => ClusterKeyFile.Read(KeyPath));
    }

    [Fact]
    public void No_content_whatever_ends_in_anything_but_keys_or_a_refusal()
    {
        var random = new Random(11);
        byte[] genuine = System.Text.Encoding.ASCII.GetBytes($"# x\nretiring 0 {new string('1', 64)} 10 -\nactive 1 {new string('2', 64)} 10 1763737200\n");
        for (int i = 0; i < 2_000; i++)
        {
            byte[] bytes = [.. genuine];
            for (int changes = random.Next(1, 5); changes > 0; changes--)
            {
                bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            }

            File.WriteAllBytes(KeyPath, bytes[..random.Next(bytes.Length)]);
            File.SetUnixFileMode(KeyPath, Private);
            Exception? refused = Record.Exception(() => ClusterKeyFile.Read(KeyPath));
            Assert.True(refused is null or ClusterKeyFileException, $"run {i}: {refused}");
        }
    }

    [Theory]
    [InlineData("000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F")]
    [InlineData("  000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\r\n")]
    [InlineData("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n")]
    public void Hexadecimal_and_base64_are_read(string content)
    {
        Store(content);
        using var expected = new ClusterSecret([.. Enumerable.Range(0, 32).Select(i => (byte)i)]);

        Assert.True(expected.HasSameBytes(ClusterKeyFile.Read(KeyPath)!.ActiveKey.Secret));
    }

    [Theory]
    [InlineData("")]
    [InlineData("\n")]
    [InlineData("secret")]
    [InlineData("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e")]
    [InlineData("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1g")]
    [InlineData("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gIQ==")]
    [InlineData("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n")]
    public void Anything_else_is_refused_with_the_path_and_what_is_expected(string content)
    {
        Store(content);
        var refused = Assert.Throws<ClusterKeyFileException>(() => ClusterKeyFile.Read(KeyPath));

        Assert.Contains(KeyPath, refused.Message, StringComparison.Ordinal);
        Assert.Contains("64 hexadecimal digits", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(UnixFileMode.GroupRead)]
    [InlineData(UnixFileMode.OtherRead)]
    [InlineData(UnixFileMode.OtherWrite)]
    public void A_key_that_others_may_touch_is_refused(UnixFileMode extra)
    {
        ClusterKeyFile.Create(KeyPath);
        File.SetUnixFileMode(KeyPath, Private | extra);

        Assert.Contains("chmod 600", Assert.Throws<ClusterKeyFileException>(() => ClusterKeyFile.Read(KeyPath)).Message, StringComparison.Ordinal);
    }

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    private static ClusterSecret Secret(byte seed) => new(SHA256.HashData([seed]));

    private void Store(string content)
    {
        File.WriteAllText(KeyPath, content);
        File.SetUnixFileMode(KeyPath, Private);
    }
}
