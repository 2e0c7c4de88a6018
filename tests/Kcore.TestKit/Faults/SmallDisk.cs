using System.Globalization;
using Kcore.TestKit.Lan;
using Kcore.TestKit.Processes;

namespace Kcore.TestKit.Faults;

/// <summary>
/// A disk of its own in the place of a node's data directory: a file system on a loop device, small enough to be filled, that
/// can be made slow and can be made to hang.
/// </summary>
public sealed class SmallDisk : IAsyncDisposable
{
    private const int Mebibytes = 96;

    // Of the first version of control groups, and of its root, for the journal of the file system is written by the kernel.
    private const string Throttle = "/sys/fs/cgroup/blkio/blkio.throttle.write_iops_device";

    private readonly string _place;
    private readonly string _device;
    private bool _isFrozen;
    private bool _isSlow;

    private SmallDisk(string place, string device)
    {
        _place = place;
        _device = device;
    }

    /// <summary>Why this machine's disks cannot be made slow, or null.</summary>
    public static string? NotSlowBecause => File.Exists(Throttle) ? null : $"{Throttle} does not exist";

    private string Filler => Path.Combine(_place, "filler");

    /// <summary>Before the node's daemon is started.</summary>
    public static async Task<SmallDisk> MountAsync(LanNode node)
    {
        string image = Path.Combine(node.Directory, "disk");
        Directory.CreateDirectory(node.DataDirectory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        await using (FileStream file = new(image, FileMode.Create))
        {
            file.SetLength(Mebibytes * 1024L * 1024);
        }

        // Nothing is left to be initialised later by a thread of the kernel, and a mount's loop device goes with it.
        await Command.OutputAsync("mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0", image);
        await Command.OutputAsync("mount", "-o", "loop", image, node.DataDirectory);
        File.SetUnixFileMode(node.DataDirectory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        string source = (await Command.OutputAsync("findmnt", "-n", "-o", "SOURCE", "--mountpoint", node.DataDirectory)).Trim();
        string device = (await File.ReadAllTextAsync($"/sys/class/block/{Path.GetFileName(source)}/dev")).Trim();
        return new SmallDisk(node.DataDirectory, device);
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

    /// <summary>Every write hangs, and whoever waits for one cannot be killed, until <see cref="ThawAsync"/>.</summary>
    public async Task FreezeAsync()
    {
        _isFrozen = true;
        await Command.OutputAsync("fsfreeze", "--freeze", _place);
    }

    public async Task ThawAsync()
    {
        await Command.OutputAsync("fsfreeze", "--unfreeze", _place);
        _isFrozen = false;
    }

    /// <summary>The device takes that many writes a second, and a durable one needs two or three; 0 is as many as it can.</summary>
    public async Task LimitWritesAsync(int perSecond)
    {
        _isSlow = perSecond != 0;
        await File.WriteAllTextAsync(Throttle, string.Create(CultureInfo.InvariantCulture, $"{_device} {perSecond}\n"));
    }

    public async ValueTask DisposeAsync()
    {
        await WakeAsync();
        await Command.RunAsync("umount", ["-l", _place]);
    }

    /// <summary>The disk works as it did at first; before the daemon on it is ended.</summary>
    public async Task WakeAsync()
    {
        if (_isFrozen)
        {
            await ThawAsync();
        }

        if (_isSlow)
        {
            await LimitWritesAsync(0);
        }
    }
}
