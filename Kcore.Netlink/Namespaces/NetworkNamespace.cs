using System.Runtime.ExceptionServices;
using Kcore.Netlink.Interop;
using Microsoft.Win32.SafeHandles;

namespace Kcore.Netlink.Namespaces;

/// <summary>Tells one network namespace from another for as long as either is referenced.</summary>
public readonly record struct NamespaceIdentity(ulong Device, ulong Inode);

/// <summary>
/// An open network namespace. The descriptor keeps it alive; sockets opened inside keep working from any thread.
/// </summary>
public sealed unsafe class NetworkNamespace : IDisposable
{
    private const string NamedFolder = "/run/netns/";

    private NetworkNamespace(SafeFileHandle handle)
    {
        Handle = handle;
        Identity = Identify(handle);
    }

    /// <summary>Differs when a namespace of the same name was deleted and made again.</summary>
    public NamespaceIdentity Identity { get; }

    internal SafeFileHandle Handle { get; }

    /// <summary>Opens a namespace file, such as one a container runtime bound.</summary>
    /// <exception cref="NetlinkException">There is no such file, or it is not a network namespace (EINVAL).</exception>
    public static NetworkNamespace Open(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        int descriptor = LibC.Open(path, LibC.O_RDONLY | LibC.O_CLOEXEC, 0);
        if (descriptor < 0)
        {
            throw NetlinkException.FromLastError($"open the network namespace {path}");
        }

        var handle = new SafeFileHandle(descriptor, ownsHandle: true);
        try
        {
            // NS_GET_NSTYPE (linux/nsfs.h) fails with ENOTTY on anything that is no namespace.
            int type = LibC.Ioctl(handle, 0xb703, 0);
            if (type < 0)
            {
                throw NetlinkException.FromLastError($"recognise {path} as a namespace");
            }

            return type == LibC.CLONE_NEWNET
                ? new NetworkNamespace(handle)
                : throw new NetlinkException(
                    $"open the network namespace {path}", new NetlinkError(Errno.EINVAL, "a namespace of another kind"));
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    /// <summary>The namespace a process lives in.</summary>
    public static NetworkNamespace OfProcess(int processId)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(processId);
        return Open($"/proc/{processId}/ns/net");
    }

    /// <summary>The namespace of the calling thread.</summary>
    public static NetworkNamespace Current() => Open("/proc/thread-self/ns/net");

    /// <summary>A namespace made by <c>ip netns add</c>.</summary>
    /// <exception cref="ArgumentException">The name could leave the folder of named namespaces.</exception>
    public static NetworkNamespace Named(string name)
    {
        if (!IsValidName(name))
        {
            throw new ArgumentException("Not a name of a network namespace.", nameof(name));
        }

        return Open(NamedFolder + name);
    }

    /// <summary>Makes a namespace without a name; it goes when the last descriptor, link or process inside is gone.</summary>
    /// <exception cref="NetlinkException">EPERM without CAP_SYS_ADMIN.</exception>
    public static NetworkNamespace CreateAnonymous() =>
        OnOwnThread(static () =>
            LibC.Unshare(LibC.CLONE_NEWNET) == 0
                ? Current()
                : throw NetlinkException.FromLastError("make a network namespace"));

    /// <summary>1 to 255 letters, digits, '.', '_', '-' and '@', and neither "." nor "..".</summary>
    public static bool IsValidName(string? name) =>
        name is { Length: > 0 and <= 255 } and not ("." or "..")
        && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-' or '@');

    /// <summary>
    /// Runs a function inside on a thread of its own, which ends with it: a thread that changed its namespace must
    /// never go back to a pool.
    /// </summary>
    /// <remarks>Sockets and files opened by the function belong to this namespace. Exceptions come out unchanged.</remarks>
    /// <exception cref="NetlinkException">The namespace could not be entered.</exception>
    public T Run<T>(Func<T> function)
    {
        ArgumentNullException.ThrowIfNull(function);
        return OnOwnThread(() =>
            LibC.SetNamespace(Handle, LibC.CLONE_NEWNET) == 0
                ? function()
                : throw NetlinkException.FromLastError("enter a network namespace"));
    }

    /// <inheritdoc cref="Run{T}"/>
    public void Run(Action action)
    {
        ArgumentNullException.ThrowIfNull(action);
        Run(() =>
        {
            action();
            return true;
        });
    }

    public void Dispose() => Handle.Dispose();

    private static NamespaceIdentity Identify(SafeFileHandle handle)
    {
        LibC.FileStatus status;
        if (LibC.Statx(handle, "", LibC.AT_EMPTY_PATH, LibC.STATX_INO, &status) != 0)
        {
            throw NetlinkException.FromLastError("identify a network namespace");
        }

        return new NamespaceIdentity(((ulong)status.DeviceMajor << 32) | status.DeviceMinor, status.Inode);
    }

    private static T OnOwnThread<T>(Func<T> function)
    {
        T result = default!;
        ExceptionDispatchInfo? failure = null;
        var thread = new Thread(() =>
        {
            try
            {
                result = function();
            }
            catch (Exception e)
            {
                failure = ExceptionDispatchInfo.Capture(e);
            }
        })
        {
            IsBackground = true,
            Name = "network namespace",
        };
        thread.Start();
        thread.Join();
        failure?.Throw();
        return result;
    }
}
