using Kcore.TestKit.Lan;
using Kcore.TestKit.Processes;

namespace Kcore.TestKit.Faults;

/// <summary>A file system of its own, small enough to be filled, in the place of a node's data directory.</summary>
public sealed class SmallDisk : IAsyncDisposable
{
    private const int Mebibytes = 96;
    private readonly string _place;

    private SmallDisk(string place) => _place = place;

    private string Filler => Path.Combine(_place, "filler");

    /// <summary>Before the node's daemon is started.</summary>
    public static async Task<SmallDisk> MountAsync(LanNode node)
    {
        Directory.CreateDirectory(node.DataDirectory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        await Command.OutputAsync("mount", "-t", "tmpfs", "-o", $"size={Mebibytes}m,mode=0700", "kcore-small", node.DataDirectory);
        return new SmallDisk(node.DataDirectory);
    }

    public void Fill()
    {
        byte[] block = new byte[4096];
        using FileStream file = new(Filler, FileMode.Create, FileAccess.Write, FileShare.None, 1);
        try
        {
            while (true)
            {
                file.Write(block);
            }
        }
        catch (IOException)
        {
            // No space left on device: as wanted.
        }
    }

    public void Free() => File.Delete(Filler);

    public async ValueTask DisposeAsync() => await Command.RunAsync("umount", ["-l", _place]);
}
