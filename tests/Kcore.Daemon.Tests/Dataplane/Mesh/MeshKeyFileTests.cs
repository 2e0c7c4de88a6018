using Kcore.Daemon.Dataplane.Mesh;
using Kcore.Gossip;
using Microsoft.Extensions.Logging.Abstractions;

namespace Kcore.Daemon.Tests.Dataplane.Mesh;

public sealed class MeshKeyFileTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("kcore-key").FullName;

    private string FilePath => Path.Combine(_folder, "wireguard.key");

    private MeshKeyFile File_ => new(FilePath, new NodeId(7));

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void A_key_is_read_as_it_was_written_and_only_its_owner_may_read_it()
    {
        MeshKey key = MeshKey.Make();
        File_.Write(key);

        Assert.Equal(key.Secret.ToArray(), File_.Read()!.Secret.ToArray());
        Assert.Equal(key.Public, File_.Read()!.Public);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(FilePath));
        Assert.Equal([FilePath], Directory.GetFiles(_folder));
    }

    [Fact]
    public void The_key_of_the_node_this_disk_was_copied_from_is_not_used()
    {
        new MeshKeyFile(FilePath, new NodeId(6)).Write(MeshKey.Make());

        Assert.Null(File_.Read());
    }

    [Theory]
    [InlineData("")]
    [InlineData("not a key")]
    [InlineData("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= 7")]
    public void Something_else_in_its_place_is_an_error_that_names_the_file(string text)
    {
        File.WriteAllText(FilePath, text);

        Assert.Contains(FilePath, Assert.Throws<InvalidDataException>(() => File_.Read()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_key_is_made_once_and_stays_over_restarts_until_it_is_replaced()
    {
        MeshKeys keys = new(File_, NullLogger.Instance);
        keys.Load();
        Assert.Null(keys.Current.Current.Key);
        keys.Ensure();
        MeshKey made = keys.Current.Current.Key!;
        keys.Ensure();
        Assert.Same(made, keys.Current.Current.Key);

        MeshKeys later = new(File_, NullLogger.Instance);
        later.Load();
        Assert.Equal(made.Public, later.Current.Current.Key!.Public);
        later.Rotate();
        Assert.NotEqual(made.Public, later.Current.Current.Key!.Public);
        Assert.Equal(later.Current.Current.Key!.Public, File_.Read()!.Public);
    }

    [Fact]
    public void A_key_that_cannot_be_stored_is_not_used_and_the_reason_is_told()
    {
        MeshKeys keys = new(new MeshKeyFile(Path.Combine(_folder, "missing", "wireguard.key"), new NodeId(7)), NullLogger.Instance);
        keys.Ensure();

        Assert.Null(keys.Current.Current.Key);
        Assert.NotNull(keys.Current.Current.Failure);
    }

    [Fact]
    public void A_private_key_prints_as_nothing()
    {
        MeshKey key = MeshKey.Make();
        string printed = $"{key} {new MeshKeys.Holding(key, null)}";

        Assert.DoesNotContain(Convert.ToBase64String(key.Secret.Span), printed, StringComparison.Ordinal);
        Assert.DoesNotContain(Convert.ToHexString(key.Secret.Span), printed, StringComparison.OrdinalIgnoreCase);
    }
}
