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
        using ClusterSecret made = ClusterKeyFile.Create(KeyPath);
        using ClusterSecret? read = ClusterKeyFile.Read(KeyPath);

        Assert.True(made.HasSameBytes(read!));
        Assert.Equal(Private, File.GetUnixFileMode(KeyPath));
        Assert.Single(Directory.GetFiles(_directory));
        Assert.Matches("^[0-9a-f]{64}\n$", File.ReadAllText(KeyPath));
    }

    [Fact]
    public void Making_a_key_never_replaces_one()
    {
        using ClusterSecret made = ClusterKeyFile.Create(KeyPath);

        Assert.Throws<IOException>(() => ClusterKeyFile.Create(KeyPath));
        Assert.True(made.HasSameBytes(ClusterKeyFile.Read(KeyPath)!));
        Assert.Single(Directory.GetFiles(_directory));
    }

    [Fact]
    public void Writing_replaces_the_whole_key()
    {
        ClusterKeyFile.Create(KeyPath).Dispose();
        using var other = new ClusterSecret(new byte[32]);
        ClusterKeyFile.Write(KeyPath, other);

        Assert.True(other.HasSameBytes(ClusterKeyFile.Read(KeyPath)!));
        Assert.Equal(Private, File.GetUnixFileMode(KeyPath));
    }

    [Theory]
    [InlineData("000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F")]
    [InlineData("  000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\r\n")]
    [InlineData("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n")]
    public void Hexadecimal_and_base64_are_read(string content)
    {
        Store(content);
        using var expected = new ClusterSecret([.. Enumerable.Range(0, 32).Select(i => (byte)i)]);

        Assert.True(expected.HasSameBytes(ClusterKeyFile.Read(KeyPath)!));
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
        ClusterKeyFile.Create(KeyPath).Dispose();
        File.SetUnixFileMode(KeyPath, Private | extra);

        Assert.Contains("chmod 600", Assert.Throws<ClusterKeyFileException>(() => ClusterKeyFile.Read(KeyPath)).Message, StringComparison.Ordinal);
    }

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    private void Store(string content)
    {
        File.WriteAllText(KeyPath, content);
        File.SetUnixFileMode(KeyPath, Private);
    }
}
